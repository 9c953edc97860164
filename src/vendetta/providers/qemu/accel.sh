# Whether KVM works is known by a guest that has run: there are machines where all else succeeds, and guests hang.

choose_accel() { # sets $accel and $cpu
  case $accel in
  auto) if proved "$qemu" "$arch"; then accel=kvm; else accel=tcg; fi ;;
  esac
  if [ -z "$cpu" ]; then
    case $accel in kvm) cpu=host ;; *) cpu=max ;; esac
  fi
}

proved() { # QEMU ARCH: remembered for as long as the node runs, and this qemu is there
  [ -r /dev/kvm ] && [ -w /dev/kvm ] && [ "$2" = "$(uname -m)" ] || return 1
  mark="$boot $(stat -Lc '%n %Y %s' "$1")"
  verdict=
  exec 7>"$root/kvm.lock"
  flock 7
  if [ -e "$root/kvm" ]; then
    { IFS= read -r known; read -r verdict; } <"$root/kvm"
    [ "$known" = "$mark" ] || verdict=
  fi
  if [ -z "$verdict" ]; then
    if try_kvm "$1" "$2"; then verdict=works; else verdict=fails; fi
    printf '%s\n%s\n' "$mark" "$verdict" >"$root/kvm"
  fi
  exec 7>&-
  [ "$verdict" = works ]
}

try_kvm() { # a firmware that does nothing but end the machine, by its first instruction
  firmware=$(mktemp) || return 1
  case $2 in
  x86_64)
    # at the reset vector: mov dx,0xf4; mov al,0x10; out dx,al; hlt
    { head -c 65520 /dev/zero; printf '\272\364\000\260\020\356\364'; head -c 9 /dev/zero; } >"$firmware"
    timeout -s KILL 3 "$1" -accel kvm -cpu host -machine pc -m 16M -nodefaults -no-user-config -display none \
      -bios "$firmware" -device isa-debug-exit,iobase=0xf4,iosize=4 </dev/null >/dev/null 2>&1 7>&- 8>&-
    status=$?
    rm -f "$firmware"
    [ "$status" = 33 ]
    ;;
  aarch64)
    # mov w0,#8; movk w0,#0x8400,lsl #16; hvc #0: SYSTEM_OFF
    { printf '\000\001\200\122\000\200\260\162\002\000\000\324\000\000\000\024'; head -c 65520 /dev/zero; } >"$firmware"
    timeout -s KILL 3 "$1" -accel kvm -cpu host -machine virt -m 64M -nodefaults -no-user-config -display none \
      -bios "$firmware" </dev/null >/dev/null 2>&1 7>&- 8>&-
    status=$?
    rm -f "$firmware"
    [ "$status" = 0 ]
    ;;
  *) rm -f "$firmware"; return 1 ;;
  esac
}

firmware_pairs() { # ARCH: code:variables, the newest layouts first
  case $1 in
  x86_64)
    for folder in /usr/share/OVMF /usr/share/edk2/x64 /usr/share/edk2/ovmf /usr/share/qemu /usr/share/edk2-ovmf/x64; do
      echo "$folder/OVMF_CODE_4M.fd:$folder/OVMF_VARS_4M.fd $folder/OVMF_CODE.4m.fd:$folder/OVMF_VARS.4m.fd"
      echo "$folder/OVMF_CODE.fd:$folder/OVMF_VARS.fd $folder/ovmf-x86_64-code.bin:$folder/ovmf-x86_64-vars.bin"
    done
    ;;
  aarch64)
    echo /usr/share/AAVMF/AAVMF_CODE.fd:/usr/share/AAVMF/AAVMF_VARS.fd
    echo /usr/share/edk2/aarch64/QEMU_EFI-pflash.raw:/usr/share/edk2/aarch64/vars-template-pflash.raw
    ;;
  riscv64) echo /usr/share/qemu-efi-riscv64/RISCV_VIRT_CODE.fd:/usr/share/qemu-efi-riscv64/RISCV_VIRT_VARS.fd ;;
  esac
}

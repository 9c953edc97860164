# Three commands for all of them, and one more for each that has been given its address by somebody else.
running=" $(lxc-ls -1 --running | tr '\n' ' ')" frozen=" $(lxc-ls -1 --frozen | tr '\n' ' ')"
for dir in "$lxcpath"/vendetta-*/; do
  dir=${dir%/} name=${dir##*/}
  dir=$lxcpath/$name
  is_ours "$dir" || continue
  case $frozen in *" $name "*) show FROZEN; continue ;; esac
  case $running in *" $name "*) show RUNNING; continue ;; esac
  show STOPPED
done

require_ours
show "$(state)"

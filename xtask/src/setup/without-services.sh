# apt-get "$@", without starting the services that it installs. Debian asks policy-rc.d before it
# starts one. Whatever happens, the policy that was there is there again afterwards.
policy=/usr/sbin/policy-rc.d
saved=$policy.before-dproxy
mark='# dproxy set-up'

restore() {
    if grep -qs "$mark" "$policy"; then rm -f "$policy"; fi
    if [ -e "$saved" ]; then mv -f "$saved" "$policy"; fi
}

restore # what a killed predecessor has left
trap restore EXIT
trap 'exit 130' HUP INT TERM

refuses() { [ -x "$policy" ] && { "$policy" nsd start >/dev/null 2>&1; [ $? -eq 101 ]; }; }
if ! refuses; then
    if [ -e "$policy" ]; then mv "$policy" "$saved" || exit; fi
    printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy" && chmod 755 "$policy" || exit
fi
apt-get "$@"

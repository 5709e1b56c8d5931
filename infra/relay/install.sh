#!/bin/sh
# Sets up the relay beside a primary, in a Debian container or machine: as root,
#   sh install.sh --deb secondary53-relay_0.1.0_amd64.deb
# It asks for what it is not told:
#   --deb FILE           the package; without it, the one that is installed
#   --queue-url URL      QUEUE_URL    the stack's output QueueUrl
#   --primary ADDRESS    PRIMARY      the primary's IP address, or ADDRESS:PORT
#   --zone NAME          ZONES        a zone; may be given again (ZONES: with spaces between them)
#   --bucket NAME        BUCKET       the stack's output OverflowBucketName, for zones beyond one message
#   --key NAME FILE      TSIG: the key's name, and a file with its secret in base64
#   --yes                            ask nothing: what is missing is an error
# The second column is the variable that is taken where the option is not given. AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,
# where they are set, are written to /etc/secondary53/credentials. A file that is there is never written to: change it, and
# run this again.
set -eu

config=/etc/secondary53/relay.toml
credentials=/etc/secondary53/credentials
deb='' queue=${QUEUE_URL-} primary=${PRIMARY-} zones=${ZONES-} bucket=${BUCKET-} key='' secret='' unattended=''

main() {
    read_arguments "$@"
    [ "$(id -u)" = 0 ] || fail "not root"
    if [ -n "$deb" ]; then
        # Not dpkg, which brings no dependencies. A path, or apt takes it for a name.
        SECONDARY53_INSTALL=1 DEBIAN_FRONTEND=noninteractive apt-get -q install -y "$(realpath "$deb")"
    fi
    command -v secondary53-relay >/dev/null || fail "secondary53-relay is not installed: give the package with --deb"

    if [ -e "$config" ]; then
        echo "install: $config is there and stays as it is"
    else
        ask queue "URL of the queue (the stack's output QueueUrl)" "$queue"
        ask primary "IP address of the primary" "$primary"
        ask zones "zones, with spaces between them" "$zones"
        if [ -n "$secret" ] && [ ! -e /etc/secondary53/relay.key ]; then write /etc/secondary53/relay.key <"$secret"; fi
        configuration | write "$config"
    fi
    if [ -n "${AWS_ACCESS_KEY_ID-}" ] && [ ! -e "$credentials" ]; then
        printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n' \
            "$AWS_ACCESS_KEY_ID" "${AWS_SECRET_ACCESS_KEY?is not set beside AWS_ACCESS_KEY_ID}" | write "$credentials"
    fi

    # As the one who runs it, for files that it cannot read are a fault too.
    setpriv --reuid secondary53 --regid secondary53 --clear-groups secondary53-relay check --config "$config" ||
        fail "mend $config and run this again"
    if [ -d /run/systemd/system ]; then
        systemctl enable --quiet secondary53-relay
        systemctl restart secondary53-relay
        # One with trouble says so and ends with 1; it runs all the same, and tries again.
        secondary53-relay status --config "$config" ||
            echo "install: it runs; for what is wrong see: journalctl -u secondary53-relay"
    else
        echo "install: there is no systemd here to start it with"
    fi
}

read_arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
        --yes) unattended=1; shift; continue ;;
        -h | --help) sed -n '2,16s/^# \{0,1\}//p' "$0"; exit 0 ;;
        esac
        [ $# -ge 2 ] || fail "$1 wants a value (--help lists the options)"
        case $1 in
        --deb) deb=$2 ;;
        --queue-url) queue=$2 ;;
        --primary) primary=$2 ;;
        --zone) zones="$zones $2" ;;
        --bucket) bucket=$2 ;;
        --key)
            [ $# -ge 3 ] || fail "--key wants a name and a file"
            key=$2 secret=$3
            [ -r "$secret" ] || fail "cannot read $secret"
            shift
            ;;
        *) fail "there is no option $1 (--help lists them)" ;;
        esac
        shift 2
    done
}

# Sets the variable $1, by asking where it is empty.
ask() {
    answer=$3
    if [ -z "$answer" ]; then
        if [ -n "$unattended" ] || [ ! -t 0 ]; then fail "missing: $2 (--help lists the options)"; fi
        printf '%s: ' "$2"
        read -r answer
        [ -n "$answer" ] || fail "missing: $2"
    fi
    eval "$1=\$answer"
}

# Whatever is in a value is text: a quote in it must not end the string.
quoted() { printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"; }

configuration() {
    case $primary in
    *.*:* | '['*) address=$primary ;;
    *:*) address="[$primary]:53" ;;
    *) address=$primary:53 ;;
    esac
    echo '# Written by install.sh; yours from now on. /usr/share/doc/secondary53-relay/relay.example.toml has every key.'
    printf 'version = 1\n\n[queue.main]\nurl = %s\n' "$(quoted "$queue")"
    if [ -n "$bucket" ]; then printf 'overflow_bucket = %s\n' "$(quoted "$bucket")"; fi
    if [ -n "$key" ]; then
        printf '\n[key.%s]\nalgorithm = "hmac-sha256"\nsecret_file = "/etc/secondary53/relay.key"\n' "$(quoted "$key")"
    fi
    printf '\n[primary.main]\naddress = %s\n' "$(quoted "$address")"
    if [ -n "$key" ]; then printf 'key = %s\n' "$(quoted "$key")"; fi
    for zone in $zones; do printf '\n[[zone]]\nname = %s\n' "$(quoted "$zone")"; done
}

# Standard input, readable by root and the relay, and whole or not there.
write() {
    umask 027
    cat >"$1.new"
    chgrp secondary53 "$1.new"
    mv "$1.new" "$1"
    echo "install: wrote $1"
}

fail() {
    echo "install: $*" >&2
    exit 1
}

main "$@"

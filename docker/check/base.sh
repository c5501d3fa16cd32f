#!/usr/bin/env bash
# Make a base image from Debian's packages, where no image registry can be reached: base.sh FILE.tar FOLDER [PACKAGE...]
# FOLDER: for temporary files; a tmpfs makes it several times faster.
set -euo pipefail
file=$1 folder=$2
shift 2
packages=$(IFS=,; echo "$*")

excluded=()
for path in doc man locale info lintian; do
    excluded+=(--dpkgopt="path-exclude=/usr/share/$path/*")
done
# merged-usr with usr-is-merged: the package usrmerge would bring all of Perl.
TMPDIR=$folder mmdebstrap --quiet --variant=minbase --include="usr-is-merged,ca-certificates,$packages" \
    --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
    --aptopt='Apt::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
    "${excluded[@]}" --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --customize-hook='rm -rf "$1"/var/cache/* "$1"/var/log/*' \
    bookworm "$file"

#!/usr/bin/env bash
# Build the images and try the whole thing on a real Docker engine: each check prints what it saw, the end counts them.
#
# It needs root, docker with BuildKit, and Compose (`docker compose` or docker-compose 1.29). Where no engine runs, it
# starts one of its own and stops it at the end; where no image registry can be reached, it makes the base image from
# Debian's packages (mmdebstrap). On Debian 12: apt-get install docker.io docker-compose mmdebstrap
#
#   MODELS=FOLDER      model repository to serve (default: models/)
#   BASE_IMAGE=NAME    base image to use; default: what the Dockerfiles name, else one made here
#   ONLY=NAME,NAME     only these checks (`python3 docker/check/run.py --list` names them)
#   TRAIN=0            without the training image, which takes most of the time and of the disk (2 GB)
#   CHECK_DIR=FOLDER   keep the engine's data there, so that the next run finds its layers; default: a temporary folder
#   REQUIRED=1         fail where it would otherwise say that it was skipped
set -euo pipefail
cd "$(dirname "$0")/.."

skip() {
    echo "docker: skipped: $1"
    echo "0 passed, ${REQUIRED:-0} failed, 1 skipped"
    exit "${REQUIRED:-0}"
}

[ "$(id -u)" = 0 ] || skip "not root; an engine cannot be started nor processes killed"
for tool in python3 docker; do
    command -v "$tool" >/dev/null || skip "no $tool; on Debian: apt-get install docker.io docker-compose mmdebstrap"
done
# A client from another place than the distribution's may lack BuildKit (its buildx plugin); one before 23 has it inside.
DOCKER=
for candidate in docker /usr/bin/docker; do
    command -v "$candidate" >/dev/null || continue
    major=$("$candidate" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
    if [ "$major" -lt 23 ] || "$candidate" buildx version >/dev/null 2>&1; then
        DOCKER=$(command -v "$candidate")
        break
    fi
done
[ -n "$DOCKER" ] || skip "docker has no BuildKit (docker-buildx-plugin is missing)"
if "$DOCKER" compose version >/dev/null 2>&1; then
    COMPOSE="$DOCKER compose"
elif command -v docker-compose >/dev/null; then
    COMPOSE=docker-compose
else
    skip "no Compose; on Debian: apt-get install docker-compose"
fi
export DOCKER COMPOSE DOCKER_BUILDKIT=1

work=$(mktemp -d "${TMPDIR:-/tmp}/electra-docker.XXXXXX")
kept=${CHECK_DIR:-$work}
mkdir -p "$kept"
engine_pid= settings_pid=

clean_up() {
    local code=$?
    trap - EXIT INT TERM
    # The checks take down what they brought up; this is for a run that was cut short.
    [ -z "${PROJECT:-}" ] || $COMPOSE -p "$PROJECT" -f compose.yaml down --volumes --timeout 5 >/dev/null 2>&1 || true
    [ -z "$settings_pid" ] || kill "$settings_pid" 2>/dev/null || true
    if [ -n "$engine_pid" ]; then
        kill "$engine_pid" 2>/dev/null || true
        wait "$engine_pid" 2>/dev/null || true
    fi
    mountpoint -q "$work/tmpfs" && umount "$work/tmpfs"
    rm -rf --one-file-system "$work"
    exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- engine
if "$DOCKER" info >/dev/null 2>&1; then
    echo "engine: the one that runs here, $("$DOCKER" version --format '{{.Server.Version}}')"
else
    command -v dockerd >/dev/null || skip "no engine runs and there is no dockerd; on Debian: apt-get install docker.io"
    export DOCKER_HOST=unix://$work/docker.sock
    # Without rules in the firewall ports are published by docker-proxy, and builds use the host's network.
    dockerd --iptables=false --ip6tables=false --data-root "$kept/docker" --exec-root "$work/exec" \
        --pidfile "$work/docker.pid" --host "$DOCKER_HOST" >"$work/dockerd.log" 2>&1 &
    engine_pid=$!
    for _ in $(seq 120); do
        "$DOCKER" info >/dev/null 2>&1 && break
        kill -0 "$engine_pid" 2>/dev/null || break
        sleep 0.5
    done
    "$DOCKER" info >/dev/null 2>&1 || skip "dockerd does not start here: $(grep -iE 'fail|error' "$work/dockerd.log" | tail -1)"
    echo "engine: started here, $("$DOCKER" version --format '{{.Server.Version}}')"
fi

# ---- base image
mkdir "$work/tmpfs"
mount -t tmpfs -o size=1g,mode=700 tmpfs "$work/tmpfs" 2>/dev/null || true
debian() { # debian IMAGE PACKAGE...: an image of Debian 12 with these packages
    local image=$1
    shift
    [ -z "$("$DOCKER" images -q "$image")" ] || return 0
    command -v mmdebstrap >/dev/null || skip "no image registry can be reached and there is no mmdebstrap"
    docker/check/base.sh "$work/tmpfs/base.tar" "$work/tmpfs" "$@" >"$work/base.log" 2>&1 ||
        { tail -5 "$work/base.log"; skip "no base image can be had: no registry, and mmdebstrap fails"; }
    "$DOCKER" import "$work/tmpfs/base.tar" "$image" >/dev/null
    rm "$work/tmpfs/base.tar"
}
if [ -z "${BASE_IMAGE:-}" ]; then
    named=$(sed -n 's/^ARG BASE_IMAGE=//p' docker/service.Dockerfile)
    if timeout 120 "$DOCKER" pull -q "$named" >/dev/null 2>&1; then
        BASE_IMAGE=$named
    else
        debian electra-check-base:12 python3 python3-venv
        BASE_IMAGE=electra-check-base:12
    fi
fi
export BASE_IMAGE
echo "base image: $BASE_IMAGE"
if [ "${TRAIN:-1}" != 0 ] && [ -z "${COMPILER_IMAGE:-}" ]; then
    named=$(sed -n 's/^ARG COMPILER_IMAGE=//p' docker/train.Dockerfile)
    if timeout 300 "$DOCKER" pull -q "$named" >/dev/null 2>&1; then
        COMPILER_IMAGE=$named
    else
        debian electra-check-compiler:12 g++
        COMPILER_IMAGE=electra-check-compiler:12
    fi
fi
if [ -z "${PROMETHEUS_IMAGE:-}" ]; then
    named=$(sed -n 's/.*PROMETHEUS_IMAGE:-\([^}]*\)}.*/\1/p' compose.yaml)
    if timeout 120 "$DOCKER" pull -q "$named" >/dev/null 2>&1; then
        PROMETHEUS_IMAGE=$named
    else
        debian electra-check-prometheus-base:12 prometheus
        # The official image's user, command and folders, around Debian's program.
        "$DOCKER" build -q -t electra-check-prometheus:12 - >/dev/null <<'END'
FROM electra-check-prometheus-base:12
RUN mkdir -p /prometheus && chown nobody /prometheus
USER nobody
ENTRYPOINT ["/usr/bin/prometheus"]
END
        PROMETHEUS_IMAGE=electra-check-prometheus:12
    fi
fi
export PROMETHEUS_IMAGE
echo "prometheus image: $PROMETHEUS_IMAGE"

# ---- images, with this machine's pip settings and certificates as build secrets: none of either stays in a layer
mkfifo "$work/stop"
python3 docker/check/pip_settings.py "$work" <"$work/stop" >"$work/pip.out" &
settings_pid=$!
exec 9>"$work/stop"
for _ in $(seq 240); do
    grep -q ready "$work/pip.out" && break
    kill -0 "$settings_pid" 2>/dev/null || break
    sleep 0.5
done
secrets=(--secret "id=pip,src=$work/pip.conf")
certificates=${PIP_CERT:-${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}}
[ ! -s "$certificates" ] || secrets+=(--secret "id=ca,src=$certificates")
build() { # build NAME [ARGUMENT...]
    local name=$1 begun=$SECONDS
    shift
    "$DOCKER" build --progress plain --network host "${secrets[@]}" --build-arg "BASE_IMAGE=$BASE_IMAGE" \
        --build-arg "REVISION=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)" "$@" \
        -f "docker/$name.Dockerfile" -t "electra-$name:check" . >"$work/build-$name.log" 2>&1 ||
        { tail -30 "$work/build-$name.log"; echo "build: docker/$name.Dockerfile fails"; echo "0 passed, 1 failed"; exit 1; }
    echo "built electra-$name in $((SECONDS - begun)) s"
}
build service
# Where torch's own index cannot be reached, the host's settings say where torch comes from.
[ "${TRAIN:-1}" = 0 ] || build train --build-arg "TORCH_INDEX=${TORCH_INDEX-}" \
    --build-arg "COMPILER_IMAGE=$COMPILER_IMAGE"

# ---- checks
export SERVICE_IMAGE=electra-service:check TRAIN_IMAGE=electra-train:check PROJECT=electra-check-$$
python3 docker/check/run.py --models "${MODELS:-models}" --scratch "$work" ${ONLY:+--only "$ONLY"} \
    $([ "${TRAIN:-1}" != 0 ] || echo --without train)

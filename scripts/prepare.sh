# Sourced by ./run and ./check: installs what is missing, configures, builds. Everything it says goes to standard error.

say() { printf '%s\n' "$*" >&2; }

# packages WHO: the packages that WHO (run or check) needs.
packages() {
  awk -v who="$1" '!/^#/ && NF == 2 && ($2 == "run" || $2 == who) { print $1 }' "$root/scripts/packages.txt"
}

# missing NAME...: those that are not installed, one a line.
missing() {
  local installed name
  installed=$(dpkg-query -W -f='${db:Status-Abbrev} ${Package}\n' "$@" 2>/dev/null) || true  # fails when one is unknown
  for name in "$@"; do
    grep -qxE "ii +$name" <<<"$installed" || printf '%s\n' "$name"
  done
}

cannot_install() {  # why, packages...
  local why=$1
  shift
  say "error: cannot install what is missing: $why"
  say "  missing: $*"
  say "  install them by hand, then run this again:"
  say "    apt-get install --no-install-recommends $*"
  exit 1
}

# install WHO: installs the missing packages of WHO; a stamp makes the next start fast.
install_packages() {
  local who=$1 stamp="$root/build/.packages-$1" wanted lacking as_root=()
  if [[ $stamp -nt $root/scripts/packages.txt ]] && command -v ninja >/dev/null; then return; fi
  mapfile -t wanted < <(packages "$who")
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "no apt on this machine, so nothing is installed; the build needs what Debian calls: ${wanted[*]}"
    return
  fi
  mapfile -t lacking < <(missing "${wanted[@]}")
  if ((${#lacking[@]} > 0)); then
    if ((EUID != 0)); then
      command -v sudo >/dev/null || cannot_install "this user is not root and there is no sudo" "${lacking[@]}"
      as_root=(sudo)
      [[ -t 0 ]] || as_root=(sudo -n)  # nobody there to type a password
      "${as_root[@]}" true >&2 || cannot_install "sudo refused" "${lacking[@]}"
    fi
    say "installing with apt: ${lacking[*]}"
    as_root+=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y)
    "${as_root[@]}" update </dev/null >&2 || say "apt-get update failed; trying with the lists at hand"
    "${as_root[@]}" install --no-install-recommends "${lacking[@]}" </dev/null >&2 ||
      cannot_install "apt-get failed (see above; is there a network?)" "${lacking[@]}"
  fi
  mkdir -p "$root/build"
  touch "$stamp"
}

# Ninja's words without its idle ones; progress stays on one line where a person watches.
narrate() {
  local line shown=0
  while IFS= read -r line; do
    case $line in
      "ninja: no work to do." | "ninja: Entering directory"* | "[0/"*"] Re-checking globbed directories"* | "-- "*) ;;
      "["[0-9]*"/"[0-9]*"]"*)
        if [[ -t 2 ]]; then
          printf '\r\033[K%.*s' $((${COLUMNS:-80} - 1)) "$line" >&2
          shown=1
        else
          say "$line"
        fi
        ;;
      *)
        ((shown == 0)) || say ""
        shown=0
        say "$line"
        ;;
    esac
  done
  ((shown == 0)) || printf '\r\033[K' >&2
}

# configured FOLDER [ISO_CUDA]: whether FOLDER is configured, for this tree and its presets, with this value of ISO_CUDA.
configured() {
  local folder=$1 cuda=${2-}
  [[ -f $folder/build.ninja && $folder/build.ninja -nt $root/CMakePresets.json ]] || return 1
  if ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$folder/CMakeCache.txt"; then
    rm -rf "$folder/CMakeCache.txt" "$folder/CMakeFiles"  # the tree has moved
    return 1
  fi
  [[ -z $cuda ]] || grep -qxF "ISO_CUDA:STRING=$cuda" "$folder/CMakeCache.txt"
}

# configure PRESET: into build/PRESET, once; ninja repeats it when a list of sources or a CMake file changes.
# The kernels for GPUs take minutes to compile, so the program alone has them where a GPU is, or where ISO_CUDA=ON asks for
# them (on the login node of a cluster). A build that has them keeps them.
configure() {
  local preset=$1 folder="$root/build/$1" log cuda=${ISO_CUDA-} options=()
  if [[ -z $cuda && $preset == release ]]; then
    if compgen -G "/dev/nvidia[0-9]*" >/dev/null; then
      cuda=AUTO
    elif [[ ! -f $folder/build.ninja ]]; then
      cuda=OFF
      say "no GPU in this machine: built without CUDA (ISO_CUDA=ON ./run builds with it)"
    fi
  fi
  if configured "$folder" "$cuda"; then return; fi
  log="$folder/configure.log"
  [[ -z $cuda ]] || options=("-DISO_CUDA=$cuda")
  if (cd "$root" && cmake --preset "$preset" "${options[@]}") >"$log" 2>&1 </dev/null; then
    grep -E '^-- isochrone: ' "$log" | sed 's/^-- isochrone: /  /' >&2 || true
  else
    cat "$log" >&2
    rm -f "$folder/build.ninja" "$root"/build/.packages-*
    say "error: the build cannot be configured (see above)"
    say "  it needs what Debian calls: $(packages check | tr '\n' ' ')"
    exit 1
  fi
}

# build PRESET [NINJA ARGUMENT...]: nonzero, said, when it fails.
build() {
  local preset=$1
  shift
  mkdir -p "$root/build/$preset"
  if [[ -z ${CCACHE_DIR-} && ! -w ${HOME-} ]]; then export CCACHE_DIR="$root/build/.ccache"; fi  # a HOME that cannot be written
  (
    flock 9  # a second start waits instead of building the same files
    configure "$preset"
    if ! (cd "$root/build/$preset" && ninja "$@" 2>&1 </dev/null 9>&-) | narrate; then
      say "error: the build failed (see above)"
      exit 2
    fi
  ) 9>"$root/build/$preset/.lock"
}

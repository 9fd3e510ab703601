# Groups the sources of a room that one translation unit can hold (cmake/rooms.cmake, _iso_group).
#   awk -v size=N -f cmake/groups.awk HEADER... sources=1 SOURCE...     prints GROUP SOURCE, N sources a group at most
# What a source keeps to itself (names of its anonymous namespaces, constants, macros) may be met neither in another source of its
# group nor in a header that only the other includes. More is refused than C++ would: a word in any role counts.

function spare(line) { sub(/\/\/.*/, "", line); gsub(/"([^"\\]|\\.)*"/, "", line); return line }  # no comments, no strings

# The name that a line at the margin declares: the last word before ( = { ; [ : or the line's end; "" for members of classes.
function declared(line) {
  sub(/^using [A-Za-z_:]*::/, "", line)
  while (sub(/<[^<>]*>/, "", line)) {}
  gsub(/::/, "@", line)
  sub(/( final)? *[({=;:[].*/, "", line)
  return match(line, /[A-Za-z0-9_@]+$/) && substr(line, RSTART) !~ /@/ ? substr(line, RSTART) : ""
}

function includes_of(s, header,   parts, n, i) {  # all that s includes, at any depth
  if ((s, header) in sees) return
  sees[s, header] = 1
  n = split(included[header], parts, " ")
  for (i = 1; i <= n; ++i) includes_of(s, parts[i])
}

function meets(word, a, b,   n, i, headers) {  # whether a word that a keeps is met where b is
  if ((b, word) in says) return 1
  n = split(givers[word], headers, " ")
  for (i = 1; i <= n; ++i) if ((b, headers[i]) in sees && !((a, headers[i]) in sees)) return 1
  return 0
}

function conflict(a, b,   n, i, words) {
  n = split(keeps[a], words, " ")
  for (i = 1; i <= n; ++i) if (meets(words[i], a, b)) return 1
  return 0
}

function place(s,   g, i) {
  for (g = 1; g <= groups; ++g) {
    if (held[g] >= size) continue
    for (i = 1; i < s; ++i) if (group[i] == g && (conflict(i, s) || conflict(s, i))) break
    if (i == s) break
  }
  if (g > groups) groups = g
  group[s] = g
  ++held[g]
}

FNR == 1 { anonymous = 0; if (sources) file[++count] = FILENAME }

/^#include "/ { split($0, quoted, "\""); included[FILENAME] = included[FILENAME] " " quoted[2]; next }

sources && /^#define / { sub(/\(.*/, "", $2); keeps[count] = keeps[count] " " $2; says[count, $2] = 1; next }

!sources { if (/^[A-Za-z_]/ && !/^namespace/) givers[declared(spare($0))] = givers[declared(spare($0))] " " FILENAME; next }

/^namespace \{/ { anonymous = 1; next }
/^}  \/\/ namespace$/ { anonymous = 0; next }

{
  line = spare($0)
  if (/^[A-Za-z_]/ && !/^using namespace/ && (anonymous || /^(const|constexpr|static|using|namespace [a-z_]+ =)/))
    keeps[count] = keeps[count] " " declared(line)
  n = split(line, words, /[^A-Za-z0-9_]+/)
  for (i = 1; i <= n; ++i) says[count, words[i]] = 1
}

END {
  for (s = 1; s <= count; ++s) includes_of(s, file[s])
  for (s = 1; s <= count; ++s) place(s)
  for (s = 1; s <= count; ++s) print group[s], file[s]
}

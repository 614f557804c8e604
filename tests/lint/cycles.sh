#!/bin/sh
# The modules of the house include each other without a circle. Argument: the root to check.
#
# A module is a header and the source of the same name (x.h with x.c or x.cu). Besides:
#   - A source without a header of its own belongs to the header that declares what it defines, if that is one header: ops_roi.c to ops.h,
#     results/table_print.c to table.h, the sources of core/device/cpu to cpu.h.
#   - A header without a source of its own belongs to the header whose name its own extends (ops_shared.h to ops.h, kernels_roi.h to kernels.h),
#     else to the module that defines all it declares (safetensors.h to checkpoint).
#   - Any other source or header is a module of its own; a class that is only reached through a table is one (distillers/defeat.c).
# A module depends on those it includes, and on those that define what its header declares: whoever calls that runs them. So a function that
# is declared in another file's header cannot hide a circle, and files are not lumped together for the lack of one.
# What is declared and defined is read from the lines that begin in the first column, as clang-format leaves them: df_ names, and those that a
# macro makes (CPU(name)). What a macro declares as a whole, the slots of a table, is not seen.
# Prints a circle per knot, the shortest through its first module, with the lines that make it; exit 1 if there is one.
cd "${1:-.}" || exit 2
find ablations distillers detectors core plots results \( -name '*.c' -o -name '*.h' -o -name '*.cu' \) 2>/dev/null | sort |
xargs awk '
function stem(path) { sub(/\.[^.\/]*$/, "", path); return path }
function is_header(path) { return path ~ /\.h$/ }
function depend(from, to, why) {
    if (from == to || (from, to) in reason) return
    reason[from, to] = why; next_of[from] = next_of[from] " " to
}
# depth of each module that can be reached from one, and the way to it
function walk(from,    queue, first, last, n, to, i) {
    split("", depth); split("", before)
    depth[from] = 0; queue[last = 1] = from
    for (first = 1; first <= last; first++) {
        n = split(next_of[queue[first]], to, " ")
        for (i = 1; i <= n; i++) if (!(to[i] in depth)) {
            depth[to[i]] = depth[queue[first]] + 1; before[to[i]] = queue[first]; queue[++last] = to[i]
        }
    }
}
FNR == 1 { comment = 0; file[++files] = FILENAME }
/^[ \t]*#[ \t]*include[ \t]*"/ {
    target = $0; sub(/^[^"]*"/, "", target); sub(/".*/, "", target)
    from[++includes] = FILENAME; to[includes] = target; where[includes] = FILENAME ":" FNR
    next
}
{
    line = $0
    if (comment) { if (!(at = index(line, "*/"))) next; line = substr(line, at + 2); comment = 0 }
    while (at = index(line, "/*")) {
        rest = substr(line, at + 2)
        if (!(end = index(rest, "*/"))) { comment = 1; line = substr(line, 1, at - 1); break }
        line = substr(line, 1, at - 1) " " substr(rest, end + 2)
    }
    if (line !~ /^[A-Za-z_]/ || line ~ /^(static|typedef)/) next
    if (match(line, /(df_[a-z0-9_]+|[A-Z]+\([a-z0-9_]+\))\(/)) name = substr(line, RSTART, RLENGTH - 1)
    else if (line ~ /\(/ || !match(line, /df_[a-z0-9_]+(\[[^]]*\])*([ \t]*=.*|;)?[ \t]*$/)) next
    else { name = substr(line, RSTART, RLENGTH); sub(/[^a-z0-9_].*/, "", name); data = 1 }
    if (is_header(FILENAME)) { if (!data || line ~ /^extern/) declared[name] = FILENAME }
    else if (data ? line !~ /^(extern|struct [a-z_]+;)/ : line !~ /;[ \t]*$/) { defined[++names] = name; by[names] = FILENAME }
    data = 0
}
END {
    for (i = 1; i <= files; i++) if (is_header(file[i])) headed[stem(file[i])] = 1; else sourced[stem(file[i])] = 1
    for (i = 1; i <= files; i++) {
        base = module[file[i]] = stem(file[i])
        if (is_header(file[i]) && !(base in sourced))
            while (sub(/_[^_\/]*$/, "", base)) if (base in headed) { module[file[i]] = base; break }
    }
    for (i = 1; i <= names; i++) if (defined[i] in declared) {
        source = by[i]; header = module[declared[defined[i]]]
        if (!(source in behind)) behind[source] = header; else if (behind[source] != header) behind[source] = "several"
    }
    for (source in behind) if (!(stem(source) in headed) && behind[source] != "several") module[source] = behind[source]
    for (i = 1; i <= names; i++) if (defined[i] in declared) {
        header = declared[defined[i]]
        if (!(header in maker)) maker[header] = module[by[i]]; else if (maker[header] != module[by[i]]) maker[header] = "several"
    }
    for (header in maker)
        if (module[header] == stem(header) && !(stem(header) in sourced) && maker[header] != "several") joins[stem(header)] = maker[header]
    for (i = 1; i <= files; i++) if (module[file[i]] in joins) module[file[i]] = joins[module[file[i]]]

    for (i = 1; i <= includes; i++) if (to[i] in module) depend(module[from[i]], module[to[i]], where[i] ": includes \"" to[i] "\"")
    for (i = 1; i <= names; i++) if (defined[i] in declared)
        depend(module[declared[defined[i]]], module[by[i]], declared[defined[i]] ": declares " defined[i] ", which " by[i] " defines")

    for (i = 1; i <= files; i++) {
        start = module[file[i]]
        if (start in done) continue
        walk(start); done[start] = 1
        split("", reached); for (m in depth) reached[m] = depth[m]
        split("", way); for (m in before) way[m] = before[m]
        last = ""; members = 0
        for (m in reached) if (m != start) {
            walk(m)
            if (!(start in depth)) continue
            done[m] = 1; members++
            if ((m, start) in reason && (last == "" || reached[m] < reached[last] || (reached[m] == reached[last] && m < last))) last = m
        }
        if (!members) continue
        text = "    " reason[last, start]
        printf "circle through %s (a knot of %d modules):\n", start, members + 1
        for (m = last; m != start; m = way[m]) text = "    " reason[way[m], m] "\n" text
        print text; bad = 1
    }
    exit bad
}' || exit 1

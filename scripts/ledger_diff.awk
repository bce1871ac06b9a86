# SPDX-License-Identifier: Apache-2.0
#
# scripts/ledger_diff.awk OLD NEW: what changed from one ledger to the other, a line each, and whether a frozen ABI would
# allow it. The exit status is 1 when anything changed.
#
# Allowed: a new struct, typedef or constant, and a new member behind all others of a struct that grows.

{
    form = $0
    sub(/\(.*/, "", form)
    if (form !~ /^[A-Z]+$/ || $0 !~ /\)$/)
        next
    body = substr($0, length(form) + 2)
    body = substr(body, 1, length(body) - 1)
    name = body
    sub(/,.*/, "", name)
    rest = substr(body, length(name) + 3)
    if (form == "MEMBER") {
        owner = name
        member = rest
        sub(/,.*/, "", member)
        rest = substr(rest, length(member) + 3)
        name = owner "." member
        split(rest, f, ", ")
        at[FILENAME, name] = f[1] + 0
        rest = "at " f[1] ", " f[2] " bytes, " substr(rest, length(f[1] f[2]) + 5)
    } else if (form == "GROWS" || form == "FROZEN") {
        end[FILENAME, name] = rest + 0
        rest = (form == "GROWS" ? "grows, " : "frozen, ") rest " bytes"
    }
    said[FILENAME, name] = rest
    if (FILENAME == ARGV[1])
        old[++n_old] = name
    else
        fresh[++n_new] = name
}

function tell(name, what, legal) {
    printf "%-10s %s: %s\n", legal ? "allowed" : "forbidden", name, what
    changed++
}

END {
    for (i = 1; i <= n_old; i++) {
        name = old[i]
        before = said[ARGV[1], name]
        if (!((ARGV[2], name) in said)) {
            tell(name, "was " before ", is gone", 0)
            continue
        }
        now = said[ARGV[2], name]
        if (before == now)
            continue
        # A struct may have grown; its members say by what.
        grown = before ~ /^grows/ && now ~ /^grows/ && end[ARGV[2], name] > end[ARGV[1], name]
        tell(name, "was " before ", is " now, grown)
    }
    for (i = 1; i <= n_new; i++) {
        name = fresh[i]
        if ((ARGV[1], name) in said)
            continue
        owner = name
        sub(/\..*/, "", owner)
        behind = owner == name || !((ARGV[1], owner) in end) ||
                 (said[ARGV[1], owner] ~ /^grows/ && at[ARGV[2], name] >= end[ARGV[1], owner])
        tell(name, "is new, " said[ARGV[2], name], behind)
    }
    exit changed > 0
}

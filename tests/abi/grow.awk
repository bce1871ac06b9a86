# SPDX-License-Identifier: Apache-2.0
#
# tests/abi/grow.awk: a header of the next minor version: two numbers appended to every struct that grows, but to those of
# `spare` (names between spaces).

/^(typedef )?struct loci_[a-z_]+ \{/ {
    name = $0
    sub(/^(typedef )?struct /, "", name)
    sub(/ .*/, "", name)
    grows = 0
}
name != "" && /struct_size/ {
    grows = 1
}
name != "" && /^\}/ {
    if (grows && !index(spare, " " name " "))
        print "    uint64_t appended[2];"
    name = ""
}
{
    print
}

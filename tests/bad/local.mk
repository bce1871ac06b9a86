# SPDX-License-Identifier: Apache-2.0
#
# tests/bad: plugins that are wrong in one way each, for the loader's tests, as tests/bad/NAME.so of the build tree.
# The compiler links them without libtool: libtool's care (-z defs, one exported symbol) is what some of them must lack.
bad_plugins = %D%/good.so %D%/no_note.so %D%/wrong_magic.so %D%/newer_note.so %D%/newer_struct.so %D%/two_majors.so \
              %D%/other_major.so %D%/no_entry.so %D%/unnoted_class.so %D%/absent_class.so %D%/no_forward.so \
              %D%/bad_default.so %D%/claims_tsan.so %D%/needs_tsan.so %D%/flushes_denormals.so %D%/unmannered.so \
              %D%/missing_library.so %D%/undefined_symbol.so
BAD_LINK = $(CC) $(PLUGIN_CPPFLAGS) $(CPPFLAGS) $(AM_CFLAGS) $(CFLAGS) -fvisibility=hidden -fPIC -shared \
           $(AM_LDFLAGS) $(LDFLAGS) -Wl,-z,undefs -Wl,--build-id

.c.so:
	@$(MKDIR_P) $(@D)
	$(AM_V_CCLD)$(BAD_LINK) -o $@ $<

# The library is there for the linker and gone for the loader.
%D%/missing_library.so: %D%/missing_library.c %D%/absent.c
	@$(MKDIR_P) %D%/absent
	$(AM_V_CCLD)$(BAD_LINK) -o %D%/absent/libloci_absent.so $(srcdir)/%D%/absent.c && \
	$(BAD_LINK) -o $@ $(srcdir)/%D%/missing_library.c -L%D%/absent -lloci_absent
	@rm -rf %D%/absent

$(bad_plugins): %D%/good.c include/loci/plugin.h
CLEANFILES += $(bad_plugins)
EXTRA_DIST += $(bad_plugins:.so=.c) %D%/absent.c

# SPDX-License-Identifier: Apache-2.0
#
# tests/bad: plugins that are wrong in one way each, as tests/bad/NAME.so of the build tree: of tests/bad/NAME/plugin.c,
# which spoils base.h (a memory) or device.h, or of good.so (truncated, other_machine). tests/bad/NAME/expect says which test of `loci check`
# must catch it:
#
#     test ID      that one, or `pass`: nothing is wrong
#     says TEXT    and its message holds this
#     also ID      this one may fail as well
#
# A new one is a folder with these two files and a word in the list. The compiler links them without libtool: libtool's
# care (-z defs, one exported symbol) is what some of them must lack.
bad_names = good two_majors \
    absent_class bad_default build_path claims_tsan clears_too_much crash_at_load crash_in_create crashes_on_choice \
    declares_by_turns device_loses_bytes device_skips_items default_outside exact_sizes exits_in_create fit_allocates fit_counts fit_takes_anything \
    fit_without_reason flushes_denormals flushes_in_create frees_twice hang_at_load hang_in_create \
    ignores_failed_alloc leaks_heap leaks_host_memory leaks_when_refused misnames_slot missing_library needs_services \
    needs_tsan newer_major newer_note newer_struct no_entry no_forward no_note one_for_all opens_descriptor \
    other_code other_major plan_allocates plan_counts plan_is_silent plan_shrinks plan_wraps prints \
    prints_at_load promises_more sets_environment sets_locale shared_sizes shouts silent_failure starts_thread \
    static_tls two_symbols undefined_symbol unmannered unnoted_class untidy_text works_at_load wrong_magic \
    allocates_in_forward counts_threads empty_call leaks_in_forward locale_in_forward odd_address past_scratch \
    stale_scratch tight_strides
# Wrong in numbers: of base.h and of attention.h.
bad_names += adds_to_output counts_calls counts_from_call drops_end_gradient drops_start_gradient first_row_for_all \
    forgets_start keeps_state_itself loses_momentum masks_by_zero mixes_heads narrow_heads no_backward no_reset \
    not_in_place overwrites_gradient pooled_gate read_writes reads_ahead reads_padding rounds_gradient saves_too_little \
    swaps_forget write_is_not_step writes_other_rows writes_padding writes_past_scratch wrong_in_float zero_gradient \
    good_attention empty_is_nan half_a_bias heads_in_turn hides_prefix ignores_d_lse linear_cap one_key_more own_lse \
    multiplies_mask sink_without_gradient wide_window wrong_sign_lse
bad_cut_names = other_machine truncated
bad_compiled = $(bad_names:%=tests/bad/%.so)
bad_plugins = $(bad_compiled) $(bad_cut_names:%=tests/bad/%.so)
BAD_LINK = $(CC) $(PLUGIN_CPPFLAGS) $(CPPFLAGS) $(AM_CFLAGS) $(CFLAGS) -fvisibility=hidden -fPIC -shared \
           $(AM_LDFLAGS) $(LDFLAGS) -Wl,-z,undefs -Wl,--build-id $(BAD_MORE)

$(bad_compiled): tests/bad/%.so: tests/bad/%/plugin.c tests/bad/base.h tests/bad/term.h tests/bad/attention.h tests/bad/device.h \
                include/loci/plugin.h include/loci/author.h
	@$(MKDIR_P) $(@D)
	$(AM_V_CCLD)$(BAD_LINK) -o $@ $< $(BAD_LIBS)

tests/bad/build_path.so: BAD_MORE = -Wl,-rpath,/home/author/build

# The library is there for the linker and gone for the loader.
tests/bad/missing_library.so: BAD_LIBS = -Ltests/bad/missing_library/gone -lloci_absent
tests/bad/missing_library.so: tests/bad/missing_library/gone/libloci_absent.so
tests/bad/missing_library/gone/libloci_absent.so: tests/bad/missing_library/absent.c
	@$(MKDIR_P) $(@D)
	$(AM_V_CCLD)$(BAD_LINK) -o $@ $<

# Half a copy; the machine of byte 18 of the header is aarch64.
tests/bad/truncated.so: tests/bad/good.so
	$(AM_V_GEN)head -c 9000 tests/bad/good.so > $@ && chmod +x $@
tests/bad/other_machine.so: tests/bad/good.so
	$(AM_V_GEN)cp tests/bad/good.so $@ && printf '\267' | dd of=$@ bs=1 seek=18 conv=notrunc 2>/dev/null

# Plugins of a single file, for tests elsewhere.
.c.so:
	@$(MKDIR_P) $(@D)
	$(AM_V_CCLD)$(BAD_LINK) -o $@ $<

CLEANFILES += $(bad_plugins) tests/bad/missing_library/gone/libloci_absent.so
EXTRA_DIST += $(bad_plugins:.so=/expect) $(bad_compiled:.so=/plugin.c) tests/bad/missing_library/absent.c \
              tests/bad/base.h tests/bad/term.h tests/bad/attention.h tests/bad/device.h tests/bad/bad.h

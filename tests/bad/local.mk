# SPDX-License-Identifier: Apache-2.0
#
# tests/bad: plugins that are wrong in one way each, as tests/bad/NAME.so of the build tree: of tests/bad/NAME/plugin.c,
# which spoils base.h (a memory), attention.h or device.h, or of good.so (truncated, other_machine). The first line of
# tests/bad/NAME/expect is the test of `loci check` that must catch it; then
#
#     says TEXT    and its message holds this
#     also ID      this one may fail as well
#
# Without that file nothing is wrong with the plugin. A new one is a folder with these two files and a word in the list.
# The compiler links them without libtool: libtool's care (-z defs, one exported symbol) is what some of them must lack.
bad_right = good good_attention two_majors
bad_names = \
    absent_class allocates_in_forward bad_default build_path claims_tsan clears_too_much counts_threads \
    crash_at_load crash_in_create crashes_on_choice declares_by_turns default_outside device_loses_bytes \
    device_skips_items empty_call exact_sizes exits_in_create fit_allocates fit_counts fit_takes_anything \
    fit_without_reason flushes_denormals flushes_in_create frees_twice hang_at_load hang_in_create \
    ignores_failed_alloc leaks_heap leaks_host_memory leaks_in_forward leaks_when_refused locale_in_forward \
    misnames_slot missing_library needs_services needs_tsan newer_major newer_note newer_struct no_entry no_forward \
    no_note odd_address one_for_all opens_descriptor other_code other_major past_scratch plan_allocates plan_counts \
    plan_is_silent plan_shrinks plan_wraps prints prints_at_load promises_more sets_environment sets_locale \
    shared_sizes shouts silent_failure stale_scratch starts_thread static_tls tight_strides two_symbols \
    undefined_symbol unmannered unnoted_class untidy_text works_at_load wrong_magic
# Wrong in numbers.
bad_names += \
    adds_to_output counts_calls counts_from_call drops_end_gradient drops_start_gradient empty_is_nan \
    first_row_for_all forgets_start half_a_bias heads_in_turn hides_prefix ignores_d_lse keeps_state_itself \
    linear_cap loses_momentum masks_by_zero mixes_heads multiplies_mask narrow_heads no_backward no_reset not_in_place one_key_more \
    overwrites_gradient own_lse pooled_gate read_writes reads_ahead reads_padding rounds_gradient saves_too_little \
    sink_without_gradient swaps_forget wide_window write_is_not_step writes_other_rows writes_padding \
    writes_past_scratch wrong_in_float wrong_sign_lse zero_gradient
bad_cut_names = other_machine truncated
bad_compiled = $(bad_right:%=tests/bad/%.so) $(bad_names:%=tests/bad/%.so)
bad_plugins = $(bad_compiled) $(bad_cut_names:%=tests/bad/%.so)
noinst_DATA += $(bad_plugins)
BAD_LINK = $(CC) $(PLUGIN_CPPFLAGS) $(CPPFLAGS) $(AM_CFLAGS) $(CFLAGS) -fvisibility=hidden -fPIC -shared \
           $(AM_LDFLAGS) $(LDFLAGS) -Wl,-z,undefs -Wl,--build-id $(BAD_MORE)

$(bad_compiled): tests/bad/%.so: tests/bad/%/plugin.c tests/bad/base.h tests/bad/term.h tests/bad/attention.h \
                tests/bad/device.h include/loci/plugin.h include/loci/author.h
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
EXTRA_DIST += $(bad_names:%=tests/bad/%/expect) $(bad_cut_names:%=tests/bad/%/expect) $(bad_compiled:.so=/plugin.c) \
              tests/bad/missing_library/absent.c \
              tests/bad/base.h tests/bad/term.h tests/bad/attention.h tests/bad/device.h tests/bad/bad.h

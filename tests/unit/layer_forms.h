/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/unit/layer_forms.h: the compositions as tests see them: every class, retrieval and gate, over mixers and
 * memories that hide nothing: learned initial states, convolutions, chunks that do not divide the segments.
 */
#ifndef LOCI_TESTS_LAYER_FORMS_H
#define LOCI_TESTS_LAYER_FORMS_H

#include "tests/unit/layer.h"

#define SMALL "mixer.mha.heads=2 memory.heads=2 memory.conv=3 "
#define SUMS "mixer.backend=sums memory.heads=2 memory.conv=3 " /* tests/plugins/sums.c */
#define GLA "mixer.backend=gla mixer.gla.heads=2 memory.heads=2 memory.conv=3 "
#define TITANS "memory.backend=titans memory.titans.init_state=learned "
#define EXACT TITANS "memory.titans.mode=exact memory.titans.chunk=3 "
#define FROZEN TITANS "memory.titans.mode=frozen memory.titans.chunk=3 "
#define DELTA "memory.backend=delta memory.delta.init_state=learned memory.delta.chunk=3 "
#define HEBBIAN "memory.backend=hebbian memory.hebbian.init_state=learned memory.hebbian.chunk=3 "
#define DEEP "memory.backend=titans memory.titans.depth=2 memory.titans.expansion=2 memory.titans.chunk=3 "
#define PER_LAYER DEEP "memory.titans.gates=per_layer memory.titans.activation=gelu "
#define MAC "compose.backend=mac compose.mac.segment_tok=4 "
#define MAC_BY(retrieval) MAC "compose.mac.summary_tok=3 compose.mac.retrieval=" #retrieval " "
#define MAG "compose.backend=mag "
#define MAL "compose.backend=mal "

struct form {
    const char *name, *settings;
    int persistent, segment;
    enum retrieval retrieval;
};

static const struct form forms[] = {
    {"plain", SMALL "compose.backend=plain", 0, 0, STRICT},
    {"plain with persistent rows", SMALL "compose.backend=plain compose.plain.persistent_tok=2", 2, 0, STRICT},
    {"lmm", SMALL EXACT "compose.backend=lmm", 0, 0, STRICT},
    {"lmm with persistent rows, frozen", SMALL FROZEN "compose.backend=lmm compose.lmm.persistent_tok=2", 2, 0, STRICT},
    {"mag", SMALL EXACT MAG "compose.mag.persistent_tok=2", 2, 0, STRICT},
    {"mag, frozen, rows to the memory",
     SMALL FROZEN MAG "compose.mag.persistent_tok=2 compose.mag.persistent_to_memory=yes", 2, 0, STRICT},
    {"mag without persistent rows", SMALL EXACT MAG "compose.mag.persistent_tok=0", 0, 0, STRICT},
    {"mal", SMALL EXACT MAL "compose.mal.persistent_tok=2", 2, 0, STRICT},
    {"mal, rows past the memory", SMALL FROZEN MAL "compose.mal.persistent_tok=2 compose.mal.persistent_to_memory=no", 2,
     0, STRICT},
    {"mal without persistent rows", SMALL EXACT MAL "compose.mal.persistent_tok=0", 0, 0, STRICT},
    {"mac", SMALL EXACT MAC "compose.mac.persistent_tok=2", 2, 4, STRICT},
    {"mac, frozen", SMALL FROZEN MAC "compose.mac.persistent_tok=2", 2, 4, STRICT},
    {"mac without persistent rows", SMALL EXACT MAC "compose.mac.persistent_tok=0", 0, 4, STRICT},
    {"mac with convolutions and grouped heads",
     SMALL EXACT MAC "compose.mac.persistent_tok=2 mixer.mha.conv=3 mixer.mha.kv_heads=1 mixer.mha.qk_norm=rms", 2, 4,
     STRICT},
    {"mag with convolutions, qk norm and alibi",
     SMALL EXACT MAG
     "compose.mag.persistent_tok=2 mixer.mha.conv=3 mixer.mha.qk_norm=rms mixer.mha.pos=alibi mixer.mha.dv=3",
     2, 0, STRICT},
    {"plain with everything",
     SMALL
     "mixer.mha.conv=2 mixer.mha.kv_heads=1 mixer.mha.qk_norm=rms mixer.mha.rope_rot=2 mixer.mha.dk=6 mixer.mha.dv=3 "
     "mixer.mha.softcap=3 mixer.mha.dropout=0.25",
     0, 0, STRICT},
    /* retrievals and gates, each with another */
    {"mac strict, lerp, window", SMALL EXACT MAC "compose.mac.gate=lerp mixer.mha.window_tok=2", 4, 4, STRICT},
    {"mac strict, add, frozen", SMALL FROZEN MAC "compose.mac.gate=add compose.mac.persistent_tok=0", 0, 4, STRICT},
    {"mac summary", SMALL EXACT MAC_BY(summary) "compose.mac.persistent_tok=2", 2, 4, SUMMARY},
    {"mac summary, mul, convolutions, window",
     SMALL FROZEN MAC_BY(summary) "compose.mac.gate=mul compose.mac.persistent_tok=0 mixer.mha.conv=3 "
                                  "mixer.mha.window_tok=2",
     0, 4, SUMMARY},
    {"mac summary, sig, no convolution",
     SMALL EXACT MAC_BY(summary) "compose.mac.gate=sig compose.mac.persistent_tok=2 memory.conv=0", 2, 4, SUMMARY},
    {"mac previous", SMALL EXACT MAC_BY(previous) "compose.mac.persistent_tok=2", 2, 4, PREVIOUS},
    {"mac previous, lerp, convolutions",
     SMALL EXACT MAC_BY(previous) "compose.mac.gate=lerp compose.mac.persistent_tok=2 mixer.mha.conv=3", 2, 4, PREVIOUS},
    {"mac previous, add, frozen, window",
     SMALL FROZEN MAC_BY(previous) "compose.mac.gate=add compose.mac.persistent_tok=0 mixer.mha.window_tok=2", 0, 4,
     PREVIOUS},
    {"mac literal", SMALL EXACT MAC_BY(literal) "compose.mac.persistent_tok=2", 2, 4, LITERAL},
    {"mac literal, sig, frozen, convolutions",
     SMALL FROZEN MAC_BY(literal) "compose.mac.gate=sig compose.mac.persistent_tok=0 mixer.mha.conv=3", 0, 4, LITERAL},
    {"mac literal, mul, no convolution",
     SMALL EXACT MAC_BY(literal) "compose.mac.gate=mul compose.mac.persistent_tok=2 memory.conv=0", 2, 4, LITERAL},
    {"mag, mul", SMALL EXACT MAG "compose.mag.gate=mul compose.mag.persistent_tok=2", 2, 0, STRICT},
    {"mag, sig, rows to the memory",
     SMALL EXACT MAG "compose.mag.gate=sig compose.mag.persistent_tok=2 compose.mag.persistent_to_memory=yes", 2, 0,
     STRICT},
    {"mag, lerp", SMALL FROZEN MAG "compose.mag.gate=lerp compose.mag.persistent_tok=0", 0, 0, STRICT},
    {"mag, add", SMALL EXACT MAG "compose.mag.gate=add compose.mag.persistent_tok=2", 2, 0, STRICT},
    {"mal, normgate", SMALL EXACT MAL "compose.mal.gate=normgate compose.mal.persistent_tok=2", 2, 0, STRICT},
    {"mal, mul", SMALL EXACT MAL "compose.mal.gate=mul compose.mal.persistent_tok=0", 0, 0, STRICT},
    {"mal, sig, rows past the memory",
     SMALL EXACT MAL "compose.mal.gate=sig compose.mal.persistent_tok=2 compose.mal.persistent_to_memory=no", 2, 0,
     STRICT},
    {"mal, lerp", SMALL FROZEN MAL "compose.mal.gate=lerp compose.mal.persistent_tok=2", 2, 0, STRICT},
    /* a mixer that takes no context */
    {"plain of sums", SUMS "compose.backend=plain", 0, 0, STRICT},
    {"plain of sums, persistent rows", SUMS "compose.backend=plain compose.plain.persistent_tok=2", 2, 0, STRICT},
    {"mag of sums", SUMS EXACT MAG "compose.mag.persistent_tok=0", 0, 0, STRICT},
    {"mag of sums, persistent rows", SUMS EXACT MAG "compose.mag.persistent_tok=2", 2, 0, STRICT},
    {"mag of sums, rows to the memory",
     SUMS EXACT MAG "compose.mag.persistent_tok=2 compose.mag.persistent_to_memory=yes", 2, 0, STRICT},
    {"mal of sums, persistent rows", SUMS EXACT MAL "compose.mal.persistent_tok=2", 2, 0, STRICT},
    {"mal of sums, rows past the memory",
     SUMS EXACT MAL "compose.mal.persistent_tok=2 compose.mal.persistent_to_memory=no", 2, 0, STRICT},
    /* other memories */
    {"lmm of a gated delta rule", SMALL DELTA "memory.delta.q_scale=rsqrt_dk compose.backend=lmm", 0, 0, STRICT},
    {"mac of a gated delta rule", SMALL DELTA MAC "memory.delta.beta_max=2 compose.mac.persistent_tok=2", 2, 4, STRICT},
    {"mag of DeltaNet", SMALL DELTA MAG "memory.delta.forget=no memory.delta.read_order=before_write", 4, 0, STRICT},
    {"mal of a frozen delta rule", SMALL DELTA MAL "memory.delta.mode=frozen compose.mal.persistent_tok=2", 2, 0,
     STRICT},
    {"lmm of linear attention", SMALL HEBBIAN "memory.hebbian.forget=no memory.hebbian.step=one compose.backend=lmm", 0,
     0, STRICT},
    {"mac of hebbian pairs", SMALL HEBBIAN MAC "compose.mac.persistent_tok=2", 2, 4, STRICT},
    {"mag of hebbian pairs with momentum", SMALL HEBBIAN MAG "memory.hebbian.momentum=yes compose.mag.persistent_tok=2",
     2, 0, STRICT},
    {"mac previous of a gated delta rule", SMALL DELTA MAC_BY(previous) "compose.mac.persistent_tok=2", 2, 4, PREVIOUS},
    {"lmm of an MLP", SMALL DEEP "compose.backend=lmm", 0, 0, STRICT},
    {"lmm of a deep MLP, gates per layer, persistent rows",
     SMALL PER_LAYER "memory.titans.depth=3 memory.titans.residual=yes compose.backend=lmm compose.lmm.persistent_tok=2",
     2, 0, STRICT},
    {"mac of an MLP", SMALL DEEP MAC "compose.mac.persistent_tok=2", 2, 4, STRICT},
    {"mac previous of an MLP token by token",
     SMALL PER_LAYER MAC_BY(previous) "memory.titans.mode=sequential compose.mac.persistent_tok=0", 0, 4, PREVIOUS},
    {"mag of an MLP", SMALL PER_LAYER MAG "memory.titans.read_order=before_write compose.mag.persistent_tok=2", 2, 0,
     STRICT},
    {"mal of an MLP", SMALL DEEP MAL "memory.titans.residual=yes compose.mal.persistent_tok=2", 2, 0, STRICT},
    {"plain of gla", GLA "compose.backend=plain mixer.gla.chunk=3", 0, 0, STRICT},
    {"plain of gla, one chunk, convolutions",
     GLA "compose.backend=plain mixer.gla.mode=parallel mixer.gla.conv=3 mixer.gla.gate_normalizer=0.5", 0, 0, STRICT},
    {"plain of gla, token by token, no gate and norm",
     GLA "compose.backend=plain mixer.gla.mode=sequential mixer.gla.out_gate=none mixer.gla.out_norm=no "
         "mixer.gla.expand_k=1 mixer.gla.expand_v=2",
     0, 0, STRICT},
    {"plain of gla, persistent rows", GLA "compose.backend=plain compose.plain.persistent_tok=2 mixer.gla.conv=1", 2, 0,
     STRICT},
    {"mag of gla, persistent rows", GLA EXACT MAG "compose.mag.persistent_tok=2 mixer.gla.chunk=4 mixer.gla.conv=2", 2,
     0, STRICT},
    {"mal of gla", GLA FROZEN MAL "compose.mal.persistent_tok=0 mixer.gla.chunk=1 mixer.gla.out_norm=no", 0, 0, STRICT},
};
#define N_FORMS (int)(sizeof forms / sizeof *forms)

static inline loci_status open_form(const struct form *f)
{
    loci_status status = rig_make(&rig, "compose", f->settings, 0);

    rig.persistent = f->persistent;
    rig.segment = f->segment;
    rig.retrieval = f->retrieval;
    return status;
}

#endif

//! @STEM@.rs: the memory @ID@, on the whole contract, without a crate: loci.rs holds the part of the ABI that is used.
//!
//!     e = v - M k                        what M says of k is off by e
//!     M = M + s e k'                     s = beta / (1 + beta k'k)
//!     y = M q
//!
//! The exact solution of  min over M of  |M - M_before|^2 + beta |v - M k|^2, a delta rule that no beta can make
//! diverge: with a small beta a step of that size, with a large one M k = v.
//!
//!  (1) The mathematics is written once, over `Real`, and compiled for f32 and f64.
//!  (2) An item of parallel_for is a run and a head. No two write the same numbers, so threads change no bit.
//!  (3) `saved` holds M before every token, for the backward: rows times tokens times M. A cheaper way keeps fewer of
//!      them and computes the others again.
//!  (4) A panic must not leave a function that C called: build with panic=abort.
//!
//! Liu et al. 2024, Longhorn: State Space Models are Amortized Online Learners, without its diagonal approximation.
mod loci;

use loci::*;
use std::ffi::c_void;
use std::mem::size_of;
use std::ops::{Add, Div, Mul, Neg, Sub};
use std::ptr::null;

const ID: &str = "@ID@\0";
const PLACE: &str = "memory/@ID@\0";

/* ---- the mathematics ---- */

trait Real:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + From<f32>
{
}
impl Real for f32 {}
impl Real for f64 {}

/// A call, as an item of parallel_for sees it.
struct Call<'a> {
    m: &'a Module,
    x: &'a loci_exec,
    s: &'a loci_slots,
    io: &'a loci_rule_io,
}

unsafe fn dot<R: Real>(a: Row<R>, b: Row<R>, n: usize) -> R {
    (0..n).fold(0f32.into(), |sum, x| sum + a.get(x) * b.get(x))
}

/// y += a x
unsafe fn add<R: Real>(y: Row<R>, a: R, x: Row<R>, n: usize) {
    for i in 0..n {
        y.set(i, y.get(i) + a * x.get(i));
    }
}

impl Call<'_> {
    /// Row j of what was M before token i, in `saved`.
    unsafe fn kept<R: Real>(&self, r: &loci_run, i: i32, h: i64, j: i64) -> Row<R> {
        let tokens = *(*self.io.v).shape.add(1);
        let token = r.row as i64 * tokens + (r.begin + i) as i64;
        let at = ((token * self.m.heads + h) * self.m.dv + j) * self.m.dk;
        Row::of_memory((self.x.saved as *mut R).offset(at as isize))
    }

    unsafe fn state<R: Real>(&self, of: *const loci_tensor, r: &loci_run, h: i64, j: i64) -> Row<R> {
        Row::of_state(&*of.add(self.m.state as usize), r.state, h, j)
    }

    unsafe fn beta<R: Real>(&self, r: &loci_run, i: i32, h: i64) -> R {
        Row::<R>::of_token(*self.io.gate.add(self.m.beta as usize), r, i, h).expect("STEP and WRITE have gates").get(0)
    }

    /// M += s e k', row by row.
    unsafe fn write<R: Real>(&self, r: &loci_run, i: i32, h: i64) {
        let n = self.m.dk as usize;
        let (k, v) = match (Row::<R>::of_token(self.io.k, r, i, h), Row::<R>::of_token(self.io.v, r, i, h)) {
            (Some(k), Some(v)) => (k, v),
            _ => return,
        };
        let (one, beta): (R, R) = (1f32.into(), self.beta(r, i, h));
        let s = beta / (one + beta * dot(k, k, n));

        for j in 0..self.m.dv {
            let m = self.state(self.s.state_out, r, h, j);
            if self.x.flags & X_SAVE != 0 {
                let kept = self.kept(r, i, h, j);
                (0..n).for_each(|x| kept.set(x, m.get(x)));
            }
            add(m, s * (v.get(j as usize) - dot(m, k, n)), k, n);
        }
    }

    unsafe fn read<R: Real>(&self, r: &loci_run, i: i32, h: i64) {
        if let (Some(q), Some(y)) = (Row::<R>::of_token(self.io.q, r, i, h), Row::<R>::of_token(self.io.y, r, i, h)) {
            for j in 0..self.m.dv {
                let m: Row<R> = self.state(self.s.state_out, r, h, j);
                y.set(j as usize, dot(m, q, self.m.dk as usize));
            }
        }
    }

    /// The read's: dq += M'dy, G += dy q', where M is what the token read: with a write, M before it and its step.
    ///
    /// The write's, with g = G k (row by row), n = k'k and e as it was:
    ///     ds    = e'g                 dbeta += ds / (1 + beta n)^2          dn = -ds (beta / (1 + beta n))^2
    ///     de    = s g                 dv    += de
    ///     dk   += s G'e - M'de + 2 dn k
    ///     G    -= de k'                                                     the gradient of M before the token
    unsafe fn back<R: Real>(&self, r: &loci_run, i: i32, h: i64) {
        let (io, n) = (self.io, self.m.dk as usize);
        let (q, dy) = (Row::<R>::of_token(io.q, r, i, h), Row::<R>::of_token(io.dy, r, i, h));
        let (k, v) = (Row::<R>::of_token(io.k, r, i, h), Row::<R>::of_token(io.v, r, i, h));
        let (dk, dv) = (Row::<R>::of_token(io.dk, r, i, h), Row::<R>::of_token(io.dv, r, i, h));
        let dq = Row::<R>::of_token(io.dq, r, i, h);
        let reads = if io.op != OP_WRITE { q.zip(dy) } else { None };
        let writes = if io.op != OP_READ { k.zip(v) } else { None };
        let (zero, one): (R, R) = (0f32.into(), 1f32.into());
        let beta = if writes.is_some() { self.beta(r, i, h) } else { zero };
        let damp = one / (one + beta * writes.map_or(zero, |(k, _)| dot(k, k, n)));
        let (s, mut ds) = (beta * damp, zero);

        for j in 0..self.m.dv {
            let g: Row<R> = self.state(self.s.state_grad, r, h, j);
            let m = if writes.is_some() { self.kept(r, i, h, j) } else { self.state(self.s.state_in, r, h, j) };
            let e = writes.map_or(zero, |(k, v)| v.get(j as usize) - dot(m, k, n));

            if let Some((q, dy)) = reads {
                let dy = dy.get(j as usize);
                if let Some(dq) = dq {
                    add(dq, dy, m, n);
                    if let Some((k, _)) = writes {
                        add(dq, dy * s * e, k, n);
                    }
                }
                add(g, dy, q, n);
            }
            if let Some((k, _)) = writes {
                let gk = dot(g, k, n);

                ds = ds + e * gk;
                if let Some(dv) = dv {
                    dv.set(j as usize, dv.get(j as usize) + s * gk);
                }
                if let Some(dk) = dk {
                    add(dk, s * e, g, n);
                    add(dk, -(s * gk), m, n);
                }
                add(g, -(s * gk), k, n);
            }
        }
        if let Some((k, _)) = writes {
            if let Some(dk) = dk {
                add(dk, -(ds + ds) * s * s, k, n);
            }
            if !io.dgate.is_null() {
                if let Some(d) = Row::<R>::of_token(*io.dgate.add(self.m.beta as usize), r, i, h) {
                    d.set(0, d.get(0) + ds * damp * damp);
                }
            }
        }
    }

    unsafe fn forward<R: Real>(&self, r: &loci_run, h: i64) {
        for j in 0..self.m.dv {
            let (from, to) = (self.state::<R>(self.s.state_in, r, h, j), self.state(self.s.state_out, r, h, j));
            (0..self.m.dk as usize).for_each(|x| to.set(x, from.get(x)));
        }
        for i in 0..r.len {
            if self.io.op != OP_READ {
                self.write::<R>(r, i, h);
            }
            if self.io.op != OP_WRITE {
                self.read::<R>(r, i, h);
            }
        }
    }
}

unsafe extern "C" fn forward_items<R: Real>(arg: *mut c_void, begin: i64, end: i64, _worker: u32) {
    let c = &*(arg as *const Call);
    for item in begin..end {
        c.forward::<R>(&*(*c.io.batch).runs.offset((item / c.m.heads) as isize), item % c.m.heads);
    }
}

unsafe extern "C" fn backward_items<R: Real>(arg: *mut c_void, begin: i64, end: i64, _worker: u32) {
    let c = &*(arg as *const Call);
    for item in begin..end {
        let r = &*(*c.io.batch).runs.offset((item / c.m.heads) as isize);
        (0..r.len).rev().for_each(|i| c.back::<R>(r, i, item % c.m.heads));
    }
}

/* ---- life ---- */

struct Module {
    host: *const loci_host,
    heads: i64,
    dk: i64,
    dv: i64,
    bits: u8,
    state: u32, /* what declare() was told: the place of the state and of the gate in every call */
    beta: u32,
}

fn refusal(s: &loci_shape) -> Option<&'static str> {
    let float = |t: loci_dtype| t.code == FLOAT && (t.bits == 32 || t.bits == 64);

    if s.device.kind != CPU {
        Some("plain loops for the cpu device: set run.device = cpu, or choose another memory")
    } else if !float(s.dtype) || !float(s.acc) || s.dtype.bits != s.acc.bits {
        Some("computes in float32 or float64, activations and state alike: set run.dtype to one of them")
    } else {
        None
    }
}

unsafe extern "C" fn fit(_: *const loci_host, _: *const opaque, shape: *const loci_shape, f: *mut loci_fit) -> status {
    let why = refusal(&*shape);
    (*f).score = if why.is_some() { 0 } else { 50 };
    write_text(&mut (*f).reason, why.unwrap_or("plain loops, token by token"));
    OK
}

unsafe extern "C" fn create(
    host: *const loci_host,
    _config: *const opaque,
    _site: *const opaque,
    shape: *const loci_shape,
    out: *mut *mut loci_module,
    err: *mut loci_error,
) -> status {
    let s = &*shape;
    if let Some(why) = refusal(s) {
        return refuse(err, E_UNSUPPORTED, PLACE, why);
    }
    let m = ((*host).alloc)(host, size_of::<Module>() as u64) as *mut Module;
    if m.is_null() {
        return refuse(err, E_NOMEM, PLACE, "out of memory");
    }
    m.write(Module { host, heads: s.heads, dk: s.dk, dv: s.dv, bits: s.acc.bits, state: 0, beta: 0 });
    *out = m as *mut loci_module;
    OK
}

unsafe extern "C" fn destroy(m: *mut loci_module) {
    let host = (*(m as *mut Module)).host;
    ((*host).free)(host, m as *mut c_void);
}

/// The host owns M, and its front end computes beta, from 0 up, at first 1.
unsafe extern "C" fn declare(m: *mut loci_module, decl: *mut c_void, _err: *mut loci_error) -> status {
    let m = &mut *(m as *mut Module);
    let shape = [-1, m.heads, m.dv, m.dk];
    let slot = loci_slot {
        struct_size: size_of::<loci_slot>() as u32,
        flags: SLOT_STATE,
        name: text("M\0"),
        ndim: 4,
        init: INIT_ZERO,
        shape: shape.as_ptr(),
        dtype: loci_dtype { code: 0, bits: 0, lanes: 0 },
        reserved0: 0,
        a: 0.0,
        b: 0.0,
        window: 0,
    };
    let gate = loci_gate {
        struct_size: size_of::<loci_gate>() as u32,
        reserved0: 0,
        name: text("beta\0"),
        lo: 0.0,
        hi: f64::INFINITY,
        init: 1.0,
        width: 1,
    };
    match ((*m.host).declare)(m.host, decl, &slot, &mut m.state) {
        OK => ((*m.host).declare_gate)(m.host, decl, &gate, &mut m.beta),
        failed => failed,
    }
}

/// Of what is saved: M of every head before each of so many tokens. None: more than there is.
fn saved_bytes(m: &Module, rows: i64, tokens: i64) -> Option<u64> {
    [rows, tokens, m.heads, m.dv, m.dk]
        .iter()
        .try_fold(m.bits as u64 / 8, |bytes, &n| bytes.checked_mul(n as u64))
        .filter(|&bytes| bytes <= 1 << 60)
}

unsafe extern "C" fn plan(
    m: *mut loci_module,
    shape: *const loci_shape,
    op: i32,
    need: *mut loci_need,
    err: *mut loci_error,
) -> status {
    let (m, s) = (&*(m as *const Module), &*shape);
    if op == OP_READ || s.flags & X_SAVE == 0 {
        return OK;
    }
    match saved_bytes(m, s.rows, s.seq) {
        Some(bytes) => {
            (*need).saved += bytes;
            OK
        }
        None => refuse(
            err,
            E_NOMEM,
            PLACE,
            &format!(
                "{} rows of {} tokens do not fit into memory: make data.seq_tok or train.batch smaller",
                s.rows, s.seq
            ),
        ),
    }
}

/* ---- calls ---- */

unsafe fn run(c: Call, back: bool, err: *mut loci_error) -> status {
    let tokens = &*(if c.io.op == OP_READ { c.io.q } else { c.io.v });
    let keeps = c.io.op != OP_READ && (back || c.x.flags & X_SAVE != 0);
    let needed = saved_bytes(c.m, *tokens.shape, *tokens.shape.add(1)).unwrap_or(u64::MAX);
    let item: task = match (c.m.bits, back) {
        (64, false) => forward_items::<f64>,
        (64, true) => backward_items::<f64>,
        (_, false) => forward_items::<f32>,
        (_, true) => backward_items::<f32>,
    };

    if keeps && needed > c.x.saved_bytes {
        return refuse(
            err,
            E_ARG,
            PLACE,
            &format!("{} bytes of saved are too few for a call that needs {}: plan for it", c.x.saved_bytes, needed),
        );
    }
    ((*c.m.host).parallel_for)(
        c.x,
        (*c.io.batch).n_runs as i64 * c.m.heads,
        1,
        item,
        &c as *const Call as *mut c_void,
    )
}

unsafe extern "C" fn forward(
    m: *mut loci_module,
    x: *const loci_exec,
    s: *const loci_slots,
    io: *const loci_rule_io,
    err: *mut loci_error,
) -> status {
    run(Call { m: &*(m as *const Module), x: &*x, s: &*s, io: &*io }, false, err)
}

unsafe extern "C" fn backward(
    m: *mut loci_module,
    x: *const loci_exec,
    s: *const loci_slots,
    io: *const loci_rule_io,
    err: *mut loci_error,
) -> status {
    run(Call { m: &*(m as *const Module), x: &*x, s: &*s, io: &*io }, true, err)
}

/* ---- the class ---- */

static IFACE: loci_memory = loci_memory {
    struct_size: size_of::<loci_memory>() as u32,
    needs: MEM_QKV,
    state_init: None,
    state_init_back: None,
    forward,
    backward,
};

static CLASS: loci_class = loci_class {
    struct_size: size_of::<loci_class>() as u32,
    state_version: 1,
    id: text(ID),
    kind: text("loci.memory/1\0"),
    version: text("1.0\0"),
    summary: text("an implicit delta rule: to begin with\0"),
    doc: text(
        "M = M + beta / (1 + beta k'k) (v - M k) k';  y = M q\n\
         Cost: 6 dk dv operations per token and head forward.\n\
         Source: Liu et al. 2024, Longhorn: State Space Models are Amortized Online Learners.\n\
         Use: where a step must never overshoot, whatever the length of the keys.\0",
    ),
    caps: CAP_BACKWARD | CAP_STREAMING | CAP_CAUSAL,
    n_keys: 0,
    n_wants: 0,
    keys: null(),
    wants: null(),
    fit,
    create,
    destroy,
    child_shape: None,
    bind: None,
    declare,
    plan,
    iface: &IFACE as *const loci_memory as *const c_void,
    promises: None,
};

#[repr(transparent)]
struct Classes([*const loci_class; 1]);
unsafe impl Sync for Classes {}
static CLASSES: Classes = Classes([&CLASS]);

#[no_mangle]
pub static loci_plugin_v1: loci_plugin = loci_plugin {
    magic: MAGIC,
    struct_size: size_of::<loci_plugin>() as u32,
    abi_major: ABI_MAJOR,
    abi_draft: ABI_DRAFT,
    ptr_bits: 8 * size_of::<usize>() as u8,
    san: 0,
    reserved0: 0,
    name: text(ID),
    version: text("1.0\0"),
    license: text("unspecified\0"),
    n_classes: 1,
    reserved1: 0,
    classes: CLASSES.0.as_ptr(),
};

const NOTED: &[u8] = b"abi=@MAJOR@.draft.@DRAFT@\nclass=memory/@ID@\n\0";
#[used]
#[link_section = ".note.loci.plugin"]
static NOTE: Note<{ NOTED.len() }> = Note::new(NOTED);

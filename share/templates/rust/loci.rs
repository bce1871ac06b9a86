//! The part of loci's ABI that a memory needs, in Rust: <loci/plugin.h> is the contract, and says what each member
//! means.
//!
//! Behind every member stands its offset, and behind the name of a struct its size, as a C compiler lays them out. Both
//! are checked when this file is compiled, so a member that is missing or of the wrong width does not compile. `loci
//! new` writes this file for the ABI of the loci it belongs to: take a new one when that changes.
#![allow(non_camel_case_types, dead_code)]

use std::ffi::c_void;
use std::mem::{align_of, size_of};
use std::os::raw::c_char;

pub const MAGIC: u32 = 0x4943_4F4C;
pub const ABI_MAJOR: u16 = @MAJOR@;
pub const ABI_DRAFT: u16 = @DRAFT@;

pub type status = i32;
pub const OK: status = 0;
pub const E_ARG: status = -1;
pub const E_UNSUPPORTED: status = -2;
pub const E_NOMEM: status = -3;

pub const CPU: i32 = 1;
pub const FLOAT: u8 = 2;
pub const X_SAVE: u64 = 1;
pub const SLOT_STATE: u32 = 1;
pub const SLOT_NO_DECAY: u32 = 2;
pub const INIT_ZERO: i32 = 0;
pub const INIT_NORMAL: i32 = 2;
pub const OP_READ: i32 = 1;
pub const OP_WRITE: i32 = 2;
pub const OP_STEP: i32 = 3;
pub const MEM_QKV: u32 = 7;
pub const CAP_BACKWARD: u64 = 1;
pub const CAP_STREAMING: u64 = 2;
pub const CAP_CAUSAL: u64 = 4;

macro_rules! layout {
    ($($name:ident $size:literal { $($field:ident: $t:ty = $at:literal,)* })*) => { $(
        #[repr(C)]
        pub struct $name { $(pub $field: $t,)* }
        unsafe impl Sync for $name {}
        const _: () = {
            let parts = [$((size_of::<$t>(), align_of::<$t>(), $at)),*];
            let (mut i, mut at) = (0, 0);
            while i < parts.len() {
                at = (at + parts[i].1 - 1) / parts[i].1 * parts[i].1;
                assert!(at == parts[i].2);
                at += parts[i].0;
                i += 1;
            }
            assert!(size_of::<$name>() == $size);
        };
    )* };
}

/// A function that this plugin has no use for.
pub type unused = Option<unsafe extern "C" fn()>;
/// loci's, or another's, seen from outside.
pub enum opaque {}
/// The plugin's own struct: it says what it is.
pub enum loci_module {}

pub type task = unsafe extern "C" fn(arg: *mut c_void, begin: i64, end: i64, worker: u32);
pub type fit_fn =
    unsafe extern "C" fn(*const loci_host, *const opaque, *const loci_shape, *mut loci_fit) -> status;
pub type create_fn = unsafe extern "C" fn(
    *const loci_host,
    *const opaque,
    *const opaque,
    *const loci_shape,
    *mut *mut loci_module,
    *mut loci_error,
) -> status;
pub type destroy_fn = unsafe extern "C" fn(*mut loci_module);
pub type declare_fn = unsafe extern "C" fn(*mut loci_module, *mut c_void, *mut loci_error) -> status;
pub type plan_fn =
    unsafe extern "C" fn(*mut loci_module, *const loci_shape, i32, *mut loci_need, *mut loci_error) -> status;
pub type rule_fn = unsafe extern "C" fn(
    *mut loci_module,
    *const loci_exec,
    *const loci_slots,
    *const loci_rule_io,
    *mut loci_error,
) -> status;
pub type alloc_fn = unsafe extern "C" fn(*const loci_host, u64) -> *mut c_void;
pub type free_fn = unsafe extern "C" fn(*const loci_host, *mut c_void);
pub type declare_slot_fn =
    unsafe extern "C" fn(*const loci_host, *mut c_void, *const loci_slot, *mut u32) -> status;
pub type declare_gate_fn =
    unsafe extern "C" fn(*const loci_host, *mut c_void, *const loci_gate, *mut u32) -> status;
pub type workers_fn = unsafe extern "C" fn(*const loci_host) -> u32;
pub type parallel_fn = unsafe extern "C" fn(*const loci_exec, i64, i64, task, *mut c_void) -> status;

#[derive(Clone, Copy)]
#[repr(C)]
pub struct loci_device {
    pub kind: i32,
    pub id: i32,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct loci_dtype {
    pub code: u8,
    pub bits: u8,
    pub lanes: u16,
}

layout! {
    loci_error 512 {
        struct_size: u32 = 0,
        code: i32 = 4,
        r#where: *const c_char = 8,
        msg: [u8; 496] = 16,
    }
    loci_tensor 48 {
        data: *mut c_void = 0,
        device: loci_device = 8,
        ndim: i32 = 16,
        dtype: loci_dtype = 20,
        shape: *mut i64 = 24,
        strides: *mut i64 = 32,
        byte_offset: u64 = 40,
    }
    loci_run 32 {
        row: i32 = 0,
        begin: i32 = 4,
        len: i32 = 8,
        state: i32 = 12,
        pos: i64 = 16,
        id: u64 = 24,
    }
    loci_batch 24 {
        struct_size: u32 = 0,
        n_runs: u32 = 4,
        runs: *const loci_run = 8,
        pos: *const loci_tensor = 16,
    }
    loci_exec 112 {
        struct_size: u32 = 0,
        reserved0: u32 = 4,
        host: *const loci_host = 8,
        session: *const opaque = 16,
        device: loci_device = 24,
        stream: *mut c_void = 32,
        flags: u64 = 40,
        seed: u64 = 48,
        step: u64 = 56,
        scratch: *mut c_void = 64,
        scratch_bytes: u64 = 72,
        saved: *mut c_void = 80,
        saved_bytes: u64 = 88,
        host_scratch: *mut c_void = 96,
        host_bytes: u64 = 104,
    }
    loci_slot 64 {
        struct_size: u32 = 0,
        flags: u32 = 4,
        name: *const c_char = 8,
        ndim: i32 = 16,
        init: i32 = 20,
        shape: *const i64 = 24,
        dtype: loci_dtype = 32,
        reserved0: u32 = 36,
        a: f64 = 40,
        b: f64 = 48,
        window: i64 = 56,
    }
    loci_slots 88 {
        struct_size: u32 = 0,
        n_params: u32 = 4,
        n_state: u32 = 8,
        n_subs: u32 = 12,
        params: *const loci_tensor = 16,
        grads: *const loci_tensor = 24,
        state_in: *const loci_tensor = 32,
        state_out: *const loci_tensor = 40,
        state_grad: *const loci_tensor = 48,
        cache: *const opaque = 56,
        sub_in: *const *const c_void = 64,
        sub_out: *const *mut c_void = 72,
        sub_grad: *const *mut c_void = 80,
    }
    loci_gate 48 {
        struct_size: u32 = 0,
        reserved0: u32 = 4,
        name: *const c_char = 8,
        lo: f64 = 16,
        hi: f64 = 24,
        init: f64 = 32,
        width: i64 = 40,
    }
    loci_shape 136 {
        struct_size: u32 = 0,
        reserved0: u32 = 4,
        session: *const opaque = 8,
        flags: u64 = 16,
        rows: i64 = 24,
        seq: i64 = 32,
        ctx: i64 = 40,
        runs: i64 = 48,
        states: i64 = 56,
        dim: i64 = 64,
        heads: i64 = 72,
        k_heads: i64 = 80,
        v_heads: i64 = 88,
        dk: i64 = 96,
        dv: i64 = 104,
        dtype: loci_dtype = 112,
        acc: loci_dtype = 116,
        device: loci_device = 120,
        features: u64 = 128,
    }
    loci_need 32 {
        struct_size: u32 = 0,
        reserved0: u32 = 4,
        scratch: u64 = 8,
        saved: u64 = 16,
        host: u64 = 24,
    }
    loci_fit 248 {
        struct_size: u32 = 0,
        score: i32 = 4,
        reason: [u8; 240] = 8,
    }
    loci_rule_io 96 {
        struct_size: u32 = 0,
        op: i32 = 4,
        batch: *const loci_batch = 8,
        q: *const loci_tensor = 16,
        k: *const loci_tensor = 24,
        v: *const loci_tensor = 32,
        gate: *const *const loci_tensor = 40,
        y: *mut loci_tensor = 48,
        dy: *const loci_tensor = 56,
        dq: *mut loci_tensor = 64,
        dk: *mut loci_tensor = 72,
        dv: *mut loci_tensor = 80,
        dgate: *const *mut loci_tensor = 88,
    }
    loci_memory 40 {
        struct_size: u32 = 0,
        needs: u32 = 4,
        state_init: unused = 8,
        state_init_back: unused = 16,
        forward: rule_fn = 24,
        backward: rule_fn = 32,
    }
    loci_host 192 {
        struct_size: u32 = 0,
        abi_major: u16 = 4,
        abi_draft: u16 = 6,
        name: *const c_char = 8,
        version: *const c_char = 16,
        ctx: *mut c_void = 24,
        log: unused = 32,
        alloc: alloc_fn = 40,
        free: free_fn = 48,
        declare: declare_slot_fn = 56,
        declare_gate: declare_gate_fn = 64,
        declare_sub: unused = 72,
        workers: workers_fn = 80,
        parallel_for: parallel_fn = 88,
        get_ext: unused = 96,
        child_need: unused = 104,
        child_state_bytes: unused = 112,
        child_forward: unused = 120,
        child_backward: unused = 128,
        child_copy: unused = 136,
        child_add: unused = 144,
        append: unused = 152,
        append_back: unused = 160,
        attend: unused = 168,
        attend_back: unused = 176,
        child_caps: unused = 184,
    }
    loci_class 152 {
        struct_size: u32 = 0,
        state_version: u32 = 4,
        id: *const c_char = 8,
        kind: *const c_char = 16,
        version: *const c_char = 24,
        summary: *const c_char = 32,
        doc: *const c_char = 40,
        caps: u64 = 48,
        n_keys: u32 = 56,
        n_wants: u32 = 60,
        keys: *const *const opaque = 64,
        wants: *const *const opaque = 72,
        fit: fit_fn = 80,
        create: create_fn = 88,
        destroy: destroy_fn = 96,
        child_shape: unused = 104,
        bind: unused = 112,
        declare: declare_fn = 120,
        plan: plan_fn = 128,
        iface: *const c_void = 136,
        promises: unused = 144,
    }
    loci_plugin 56 {
        magic: u32 = 0,
        struct_size: u32 = 4,
        abi_major: u16 = 8,
        abi_draft: u16 = 10,
        ptr_bits: u8 = 12,
        san: u8 = 13,
        reserved0: u16 = 14,
        name: *const c_char = 16,
        version: *const c_char = 24,
        license: *const c_char = 32,
        n_classes: u32 = 40,
        reserved1: u32 = 44,
        classes: *const *const loci_class = 48,
    }
}

/// A text for C: the literal must end in \0, which is checked.
pub const fn text(s: &'static str) -> *const c_char {
    let bytes = s.as_bytes();
    assert!(bytes[bytes.len() - 1] == 0);
    s.as_ptr() as *const c_char
}

/// The ELF note that loci reads before it loads anything: the ABI, then a line per class, and a final \0.
#[repr(C, align(4))]
pub struct Note<const N: usize> {
    namesz: u32,
    descsz: u32,
    kind: u32,
    owner: [u8; 8],
    desc: [u8; N],
}

impl<const N: usize> Note<N> {
    pub const fn new(text: &[u8]) -> Self {
        let (mut desc, mut i) = ([0; N], 0);
        assert!(text.len() == N && text[N - 1] == 0);
        while i < N {
            desc[i] = text[i];
            i += 1;
        }
        Note { namesz: 5, descsz: N as u32, kind: 1, owner: *b"loci\0\0\0\0", desc }
    }
}

/// Leave a sentence in `to`, cut where it does not fit.
pub fn write_text(to: &mut [u8], text: &str) {
    let n = text.len().min(to.len() - 1);
    to[..n].copy_from_slice(&text.as_bytes()[..n]);
    to[n] = 0;
}

/// Leave the sentence in err (the first failure stays) and return code. `place` ends in \0.
pub unsafe fn refuse(err: *mut loci_error, code: status, place: &'static str, sentence: &str) -> status {
    if let Some(e) = err.as_mut() {
        if e.code == OK {
            e.code = code;
            e.r#where = text(place);
            write_text(&mut e.msg, sentence);
        }
    }
    code
}

/// One token of a run at one head of a [B,T,H,...] tensor, or one row of a state: numbers that lie `step` apart.
#[derive(Clone, Copy)]
pub struct Row<R> {
    at: *mut R,
    step: isize,
}

impl<R: Copy> Row<R> {
    /// None where the tensor is not there.
    pub unsafe fn of_token(t: *const loci_tensor, r: &loci_run, i: i32, h: i64) -> Option<Row<R>> {
        let t = t.as_ref()?;
        let s = std::slice::from_raw_parts(t.strides, t.ndim as usize);
        let at = r.row as i64 * s[0] + (r.begin + i) as i64 * s[1] + h * s[2];
        let step = if t.ndim > 3 { s[3] as isize } else { 0 };
        (!t.data.is_null()).then(|| Row { at: data::<R>(t).offset(at as isize), step })
    }

    /// Row n of head h in a state [states, H, rows, numbers].
    pub unsafe fn of_state(t: &loci_tensor, state: i32, h: i64, n: i64) -> Row<R> {
        let s = std::slice::from_raw_parts(t.strides, 4);
        let at = state as i64 * s[0] + h * s[1] + n * s[2];
        Row { at: data::<R>(t).offset(at as isize), step: 1 }
    }

    pub fn of_memory(at: *mut R) -> Row<R> {
        Row { at, step: 1 }
    }

    pub unsafe fn get(&self, i: usize) -> R {
        *self.at.offset(i as isize * self.step)
    }

    pub unsafe fn set(&self, i: usize, value: R) {
        *self.at.offset(i as isize * self.step) = value
    }
}

unsafe fn data<R>(t: &loci_tensor) -> *mut R {
    (t.data as *mut u8).add(t.byte_offset as usize) as *mut R
}

//! The few calls of ONNX Runtime's C API that a policy needs, from a shared library found at run
//! time. Where crates may be fetched, take the crate `ort` in its place.
//!
//! `OrtApi` is a table of functions that only ever grows at its end; the numbers below are places
//! in it, the same since version 1 of the API.

use std::ffi::{c_char, c_int, c_void, CStr, CString};
use std::ptr;

type Pointer = *mut c_void;

extern "C" {
    fn dlopen(name: *const c_char, flags: c_int) -> Pointer;
    fn dlsym(library: Pointer, name: *const c_char) -> Pointer;
}

const NOW: c_int = 2;
const API_VERSION: u32 = 1;
const WARNINGS_AND_MORE: c_int = 3;
const DEVICE_ALLOCATOR: c_int = 0;
const DEFAULT_MEMORY: c_int = 0;

const ERROR_MESSAGE: usize = 2;
const CREATE_ENV: usize = 3;
const CREATE_SESSION_FROM_ARRAY: usize = 8;
const RUN: usize = 9;
const CREATE_SESSION_OPTIONS: usize = 10;
const SET_INTRA_OP_THREADS: usize = 24;
const CREATE_TENSOR_WITH_DATA: usize = 49;
const TENSOR_DATA: usize = 51;
const ELEMENT_COUNT: usize = 64;
const TYPE_AND_SHAPE: usize = 65;
const CREATE_CPU_MEMORY_INFO: usize = 69;
const RELEASE_STATUS: usize = 93;
const RELEASE_VALUE: usize = 96;
const RELEASE_TYPE_AND_SHAPE: usize = 99;

/// Element types that a tensor may have here, with their number in the C API.
pub trait Element: Copy {
    const KIND: c_int;
}
impl Element for f32 {
    const KIND: c_int = 1;
}
impl Element for u8 {
    const KIND: c_int = 2;
}
impl Element for i64 {
    const KIND: c_int = 7;
}

/// A function of the table, cast to what the header says it is.
macro_rules! call {
    ($table:expr, $place:expr, ($($kind:ty),*) $(-> $result:ty)?, $($argument:expr),*) => {{
        let function: unsafe extern "C" fn($($kind),*) $(-> $result)? =
            std::mem::transmute(*$table.add($place));
        function($($argument),*)
    }};
}

pub struct Session {
    table: *const Pointer,
    session: Pointer,
    memory: Pointer,
}

/// A tensor; the input ones borrow their data, so they live no longer than it.
pub struct Tensor<'a> {
    table: *const Pointer,
    value: Pointer,
    data: std::marker::PhantomData<&'a ()>,
}

impl Drop for Tensor<'_> {
    fn drop(&mut self) {
        unsafe { call!(self.table, RELEASE_VALUE, (Pointer), self.value) }
    }
}

impl Session {
    /// Open a model from its bytes, on one thread.
    pub fn open(library: &str, model: &[u8]) -> Result<Session, String> {
        unsafe {
            let name = CString::new(library).map_err(|error| error.to_string())?;
            let opened = dlopen(name.as_ptr(), NOW);
            if opened.is_null() {
                return Err(format!("{library} is no shared library"));
            }
            let found = dlsym(opened, c"OrtGetApiBase".as_ptr());
            if found.is_null() {
                return Err(format!("{library} is not ONNX Runtime"));
            }
            let base: unsafe extern "C" fn() -> *const Pointer = std::mem::transmute(found);
            let table = call!(base(), 0, (u32) -> *const Pointer, API_VERSION);
            let (mut env, mut options) = (ptr::null_mut(), ptr::null_mut());
            let (mut session, mut memory) = (ptr::null_mut(), ptr::null_mut());
            let id = c"tierwise".as_ptr();
            check(
                table,
                call!(table, CREATE_ENV, (c_int, *const c_char, *mut Pointer) -> Pointer,
                WARNINGS_AND_MORE, id, &mut env),
            )?;
            check(
                table,
                call!(table, CREATE_SESSION_OPTIONS, (*mut Pointer) -> Pointer,
                &mut options),
            )?;
            check(
                table,
                call!(table, SET_INTRA_OP_THREADS, (Pointer, c_int) -> Pointer,
                options, 1),
            )?;
            check(
                table,
                call!(table, CREATE_SESSION_FROM_ARRAY,
                (Pointer, *const u8, usize, Pointer, *mut Pointer) -> Pointer,
                env, model.as_ptr(), model.len(), options, &mut session),
            )?;
            check(
                table,
                call!(table, CREATE_CPU_MEMORY_INFO,
                (c_int, c_int, *mut Pointer) -> Pointer,
                DEVICE_ALLOCATOR, DEFAULT_MEMORY, &mut memory),
            )?;
            Ok(Session { table, session, memory }) // for the life of the process, as in a gateway
        }
    }

    /// Make a tensor of data that it borrows.
    pub fn tensor<'a, T: Element>(
        &self,
        data: &'a [T],
        shape: &[i64],
    ) -> Result<Tensor<'a>, String> {
        let mut value = ptr::null_mut();
        unsafe {
            check(
                self.table,
                call!(self.table, CREATE_TENSOR_WITH_DATA,
                (Pointer, *const T, usize, *const i64, usize, c_int, *mut Pointer) -> Pointer,
                self.memory, data.as_ptr(), std::mem::size_of_val(data), shape.as_ptr(),
                shape.len(), T::KIND, &mut value),
            )?;
        }
        Ok(Tensor { table: self.table, value, data: std::marker::PhantomData })
    }

    /// Run the model; inputs with a default may be left out.
    pub fn run(
        &self,
        inputs: &[(&CStr, &Tensor)],
        output: &CStr,
    ) -> Result<Tensor<'static>, String> {
        let names: Vec<_> = inputs.iter().map(|(name, _)| name.as_ptr()).collect();
        let values: Vec<_> = inputs.iter().map(|(_, tensor)| tensor.value).collect();
        let (wanted, mut value) = ([output.as_ptr()], ptr::null_mut());
        unsafe {
            check(
                self.table,
                call!(self.table, RUN,
                (Pointer, Pointer, *const *const c_char, *const Pointer, usize,
                 *const *const c_char, usize, *mut Pointer) -> Pointer,
                self.session, ptr::null_mut(), names.as_ptr(), values.as_ptr(), names.len(),
                wanted.as_ptr(), 1, &mut value),
            )?;
        }
        Ok(Tensor { table: self.table, value, data: std::marker::PhantomData })
    }
}

impl Tensor<'_> {
    /// Copy the elements out; `T` has to be the type that the model declares.
    pub fn elements<T: Element>(&self) -> Result<Vec<T>, String> {
        let (mut shape, mut count) = (ptr::null_mut(), 0usize);
        let mut data: *mut T = ptr::null_mut();
        unsafe {
            check(
                self.table,
                call!(self.table, TYPE_AND_SHAPE, (Pointer, *mut Pointer) -> Pointer,
                self.value, &mut shape),
            )?;
            check(
                self.table,
                call!(self.table, ELEMENT_COUNT, (Pointer, *mut usize) -> Pointer,
                shape, &mut count),
            )?;
            call!(self.table, RELEASE_TYPE_AND_SHAPE, (Pointer), shape);
            check(
                self.table,
                call!(self.table, TENSOR_DATA, (Pointer, *mut *mut T) -> Pointer,
                self.value, &mut data),
            )?;
            Ok((0..count).map(|place| *data.add(place)).collect())
        }
    }
}

/// A status is null where all went well.
unsafe fn check(table: *const Pointer, status: Pointer) -> Result<(), String> {
    if status.is_null() {
        return Ok(());
    }
    let message = call!(table, ERROR_MESSAGE, (Pointer) -> *const c_char, status);
    let text = CStr::from_ptr(message).to_string_lossy().into_owned();
    call!(table, RELEASE_STATUS, (Pointer), status);
    Err(text)
}

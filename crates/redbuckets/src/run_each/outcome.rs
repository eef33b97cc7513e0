//! How a task may end.

use std::{any::Any, fmt};

/// What a task of [`Instance::run_each`](crate::Instance::run_each) may return: nothing, a result whose error says why the
/// task is to be started again, or never.
pub trait TaskOutcome: Send + 'static {
    /// Why the task failed; `None` where it is done.
    fn failure(self) -> Option<String>;
}

impl TaskOutcome for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl<E: fmt::Display + Send + 'static> TaskOutcome for Result<(), E> {
    fn failure(self) -> Option<String> {
        self.err().map(|error| error.to_string())
    }
}

impl TaskOutcome for <fn() -> ! as Returns>::Never {
    fn failure(self) -> Option<String> {
        self
    }
}

/// Names the type of what never returns, which stable Rust lets nobody write anywhere else.
#[expect(unnameable_types, reason = "only its associated type is meant")]
pub trait Returns {
    /// What the function returns.
    type Never;
}

impl<T> Returns for fn() -> T {
    type Never = T;
}

/// What a panic said, as far as it is text.
pub(super) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("without a message"))
}

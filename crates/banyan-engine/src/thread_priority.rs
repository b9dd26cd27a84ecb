//! The priority of the threads that must not slow down other work.

/// Lowers the calling thread's priority to this niceness (1 to 19, see `nice(2)`); on Linux, each thread has its own.
///
/// Best effort: what runs on these threads is bounded as well.
pub(crate) fn lower(nice: i32) {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), nice);
    #[cfg(not(target_os = "linux"))]
    let _ = nice;
}

//! What servers, nodes of a cluster and sentinels say of themselves and of each other.

use coord_core::fuzzing;

/// Whatever they say, it is understood or passed over; nobody is known whom they did not name.
pub(crate) fn run(data: &[u8]) {
    fuzzing::deployment(data);
    for info in fuzzing::describe(data) {
        assert!(info.master.is_none_or(|master| master.contains(':')));
    }
}

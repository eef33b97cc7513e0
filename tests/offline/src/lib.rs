//! What tests share that need no server: a process that can be stopped and killed within this one, a wire that can be
//! listened to, and what holders and members are entitled to.

pub mod gate;
pub mod shares;
pub mod slot_record;
pub mod tap;

//! Work on file trees that others may change while we look at them.
//!
//! Everything here goes through directory handles ([`Dir`]) and single names, never through
//! paths of several components, so a directory swapped for a symbolic link leads nowhere.

mod canonicalise;
mod delete;
mod dirfd;
mod nar_dump;
mod nar_restore;

pub use canonicalise::{Owner, canonicalise};
pub use delete::delete_tree;
pub use dirfd::{Dir, EntryType, sync_file_system};
pub use nar_dump::{Filter, FsTree, NarSink, dump_nar, visit_tree};
pub use nar_restore::{RestoreSink, restore_nar, seal, sync_trees, visit_nar};

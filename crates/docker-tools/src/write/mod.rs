//! Writing finished images.

mod archive;

pub(crate) use archive::member_header;
pub use archive::{ArchiveWriter, BLOBS};

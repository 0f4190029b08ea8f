//! See the workspace's docs/architecture.md.

pub mod build;

//! Container images from store closures, without a daemon, a shell or other programs.
//!
//! A request ([`request::ImageRequest`]) and a closure become one archive that `docker load`
//! takes and that is an OCI layout as well. The archive's bytes are a function of the request and
//! the closure: no clock, user, umask, locale or number of threads enters.
//!
//! The way: [`builder`] (what a build runs) → [`assemble`] → [`layer`] and [`plan`] →
//! [`mod@write`] → [`validate`]. [`read`] opens the images of others.

pub mod assemble;
pub mod builder;
pub mod commands;
pub mod error;
pub mod graph;
pub mod image_name;
pub mod layer;
pub mod mentions;
pub mod plan;
pub mod read;
pub mod request;
pub mod spec;
pub mod store_files;
#[cfg(test)]
mod testing;
pub mod timestamp;
pub mod validate;
pub mod write;

pub use builder::BUILDERS;

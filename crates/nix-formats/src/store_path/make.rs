//! Computing store paths from contents: text, fixed and source, output.
//!
//! All are `compress20(sha256(type ":sha256:" inner ":" store-dir ":" name))`; they differ in the
//! type and in what the inner digest is of. References are part of the *type*, in the order of
//! their texts.

use std::collections::BTreeSet;

use super::{NameError, StorePath};
use crate::content_address::ContentAddress;
use crate::hash::compress::compress20;
use crate::hash::{Hash, HashAlgo};
use crate::store_dir::StoreDir;

/// How a file system object is turned into the bytes that are hashed.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileMethod {
    /// The contents of a single regular file.
    Flat,
    /// The NAR of any object.
    Nar,
}

impl FileMethod {
    /// What stands before the algorithm: nothing or `r:`.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            FileMethod::Flat => "",
            FileMethod::Nar => "r:",
        }
    }
}

/// Why a store path cannot be computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MakePathError {
    /// The name is not allowed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// References with a content address that has no place for them.
    #[error("object '{0}' cannot have references: only text and NARs hashed by sha256 can")]
    References(String),
    /// A text that refers to itself.
    #[error("text object '{0}' cannot refer to itself")]
    SelfReference(String),
    /// A hash that is not SHA-256 where only that can be.
    #[error("object '{name}' must be hashed by sha256, not {algo}")]
    Algo {
        /// The name of the object.
        name: String,
        /// The algorithm that was given.
        algo: HashAlgo,
    },
}

/// The name of an output's store path: the derivation's for `out`, else with `-output` behind it.
#[must_use]
pub fn output_path_name(drv_name: &str, output: &str) -> String {
    if output == "out" { drv_name.to_owned() } else { format!("{drv_name}-{output}") }
}

impl StoreDir {
    /// The path of a text object: what `builtins.toFile` adds, and every `.drv` file.
    ///
    /// # Errors
    /// The name is not allowed.
    pub fn make_text_path(
        &self,
        name: &str,
        contents: &[u8],
        refs: &BTreeSet<StorePath>,
    ) -> Result<StorePath, MakePathError> {
        self.make_text_path_of(name, &Hash::of(HashAlgo::Sha256, contents), refs)
    }

    /// Like [`StoreDir::make_text_path`], from the hash of the contents.
    ///
    /// # Errors
    /// The name is not allowed, or the hash is not SHA-256.
    pub fn make_text_path_of(
        &self,
        name: &str,
        hash: &Hash,
        refs: &BTreeSet<StorePath>,
    ) -> Result<StorePath, MakePathError> {
        if hash.algo() != HashAlgo::Sha256 {
            return Err(MakePathError::Algo { name: name.to_owned(), algo: hash.algo() });
        }
        Ok(self.make_path(&self.kind_with_refs("text", refs, false), hash, name)?)
    }

    /// The path of an object addressed by the hash of its contents.
    ///
    /// With `self_ref`, `hash` is that of the NAR modulo self-references (see
    /// [`crate::references`]). NARs hashed by SHA-256 are *sources*; all else is named after the
    /// hash's text and can have no references.
    ///
    /// # Errors
    /// The name is not allowed, or there are references where none can be.
    pub fn make_fixed_path(
        &self,
        name: &str,
        method: FileMethod,
        hash: &Hash,
        refs: &BTreeSet<StorePath>,
        self_ref: bool,
    ) -> Result<StorePath, MakePathError> {
        if method == FileMethod::Nar && hash.algo() == HashAlgo::Sha256 {
            return Ok(self.make_path(
                &self.kind_with_refs("source", refs, self_ref),
                hash,
                name,
            )?);
        }
        if !refs.is_empty() || self_ref {
            return Err(MakePathError::References(name.to_owned()));
        }
        let inner = format!("fixed:out:{}{}:", method.prefix(), hash.to_prefixed_base16());
        Ok(self.make_path("output:out", &Hash::of(HashAlgo::Sha256, inner), name)?)
    }

    /// The path of an object with content address `ca`: one of the two above.
    ///
    /// # Errors
    /// As [`StoreDir::make_text_path`] and [`StoreDir::make_fixed_path`].
    pub fn make_ca_path(
        &self,
        name: &str,
        ca: &ContentAddress,
        refs: &BTreeSet<StorePath>,
        self_ref: bool,
    ) -> Result<StorePath, MakePathError> {
        match ca {
            ContentAddress::Text(_) if self_ref => {
                Err(MakePathError::SelfReference(name.to_owned()))
            }
            ContentAddress::Text(hash) => self.make_text_path_of(name, hash, refs),
            ContentAddress::Fixed { method, hash } => {
                self.make_fixed_path(name, *method, hash, refs, self_ref)
            }
        }
    }

    /// The path of output `output` of an input-addressed derivation called `drv_name`, from its
    /// masked hash modulo (see [`crate::derivation::hash_modulo`]).
    ///
    /// # Errors
    /// The resulting name is not allowed.
    pub fn make_output_path(
        &self,
        output: &str,
        inner: &Hash,
        drv_name: &str,
    ) -> Result<StorePath, MakePathError> {
        let name = output_path_name(drv_name, output);
        Ok(self.make_path(&format!("output:{output}"), inner, &name)?)
    }

    /// The path for a type, an inner digest and a name.
    fn make_path(&self, kind: &str, inner: &Hash, name: &str) -> Result<StorePath, NameError> {
        let fingerprint = format!("{kind}:{}:{self}:{name}", inner.to_prefixed_base16());
        let digest = Hash::of(HashAlgo::Sha256, fingerprint);
        StorePath::new(&compress20(digest.as_bytes()), name)
    }

    fn kind_with_refs(&self, kind: &str, refs: &BTreeSet<StorePath>, self_ref: bool) -> String {
        let mut text = kind.to_owned();
        for path in refs {
            text.push(':');
            text.push_str(self.as_str());
            text.push('/');
            text.push_str(path.base_name());
        }
        if self_ref {
            text.push_str(":self");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> BTreeSet<StorePath> {
        BTreeSet::new()
    }

    #[track_caller]
    fn check(made: Result<StorePath, MakePathError>, base_name: &str) {
        assert_eq!(made.expect("can be made").base_name(), base_name);
    }

    #[test]
    fn text_objects_have_the_published_paths() {
        let dir = StoreDir::default();
        let hello = dir.make_text_path("hello.txt", b"hello\n", &none()).expect("can be made");
        assert_eq!(hello.base_name(), "qa1w9gdfrba6jl2r57mb3c43863gqywp-hello.txt");
        let contents = format!("see {}\n", dir.display(&hello));
        check(
            dir.make_text_path("ref.txt", contents.as_bytes(), &BTreeSet::from([hello])),
            "3cmrvzmwi8kl03zzg5i25crdy3pjz95w-ref.txt",
        );
    }

    #[test]
    fn fixed_objects_have_the_published_paths() {
        use FileMethod::{Flat, Nar};
        let dir = StoreDir::default();
        let nar = Hash::parse(
            "sha256:1c37d01af40be2e80691de3cc3df44377a699afbb17c68f080964b2fd071fc13",
            None,
        )
        .expect("parses");
        let empty = |algo| Hash::of(algo, b"");
        let fixed =
            |name, method, hash: &Hash| dir.make_fixed_path(name, method, hash, &none(), false);
        check(fixed("hello.txt", Nar, &nar), "i9pmrzmpshapij2kin22pff6fc2adavx-hello.txt");
        check(
            fixed("hello.txt", Flat, &Hash::of(HashAlgo::Sha256, b"hello\n")),
            "gy454w1cxaq731grqwylhzf4pp9r5izh-hello.txt",
        );
        check(
            fixed("hello-2.1.1.tar.gz", Flat, &empty(HashAlgo::Sha1)),
            "za6jfw2w1c8islc9d3gh7i6dis8n1ka4-hello-2.1.1.tar.gz",
        );
        for (name, method, algo, base_name) in [
            ("empty", Flat, HashAlgo::Sha256, "1q82x5ah029adc0r5p06p3ivlzzh3hss-empty"),
            ("empty", Flat, HashAlgo::Md5, "8xf6nzqzxvylm01ppl21p8i0r6hz0lq7-empty"),
            ("empty", Flat, HashAlgo::Sha512, "0nn24770g8hrhr3gpw92qkzzl5jai8zf-empty"),
            ("tree", Nar, HashAlgo::Sha256, "1h48vji4kxgspjfvwvsc5hfwbf08qn5v-tree"),
            ("tree", Nar, HashAlgo::Sha1, "ywpgznd7l149hiqc1x4lmh8gwm3h4j6l-tree"),
        ] {
            check(fixed(name, method, &empty(algo)), base_name);
        }
    }

    #[test]
    fn output_paths_follow_from_the_hash_modulo() {
        let dir = StoreDir::default();
        let hash = |hex: &str| Hash::parse(hex, Some(HashAlgo::Sha256)).expect("parses");
        let simple = hash("4fb24dbe3bec79dacb9278ede7b7ee777ddf3d9de136a9f69c45a4ef5a9089d7");
        check(
            dir.make_output_path("out", &simple, "simple"),
            "nj83liashqlzmxjq8lyfxrx21whvgpqj-simple",
        );
        let two = hash("e43d6326dd106950bc919320fbdda99613be9e36949ff4e8397fea3f9633f120");
        check(dir.make_output_path("out", &two, "two"), "xbfidmgcfc65swral983bxnig5swnigw-two");
        check(dir.make_output_path("dev", &two, "two"), "0h67wdvdh4zx8sjj4dnqyxhh7p3bcz22-two-dev");
    }

    #[test]
    fn references_are_refused_where_they_have_no_place() {
        let dir = StoreDir::default();
        let sha1 = Hash::of(HashAlgo::Sha1, b"");
        let sha256 = Hash::of(HashAlgo::Sha256, b"");
        let refs = BTreeSet::from([dir.make_text_path("a", b"", &none()).expect("can be made")]);
        assert_eq!(
            dir.make_fixed_path("x", FileMethod::Nar, &sha1, &refs, false),
            Err(MakePathError::References("x".into()))
        );
        assert_eq!(
            dir.make_fixed_path("x", FileMethod::Flat, &sha256, &none(), true),
            Err(MakePathError::References("x".into()))
        );
        assert_eq!(
            dir.make_ca_path("x", &ContentAddress::Text(sha256), &none(), true),
            Err(MakePathError::SelfReference("x".into()))
        );
        assert!(matches!(
            dir.make_ca_path("x", &ContentAddress::Text(sha1), &none(), false),
            Err(MakePathError::Algo { .. })
        ));
        assert!(dir.make_fixed_path("x", FileMethod::Nar, &sha256, &refs, true).is_ok());
    }
}

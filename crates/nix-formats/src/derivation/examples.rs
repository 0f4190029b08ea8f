//! Derivations with published paths and hashes, and tests against them.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use super::*;
use crate::hash::Hash;
use crate::store_path::FileMethod;

fn path(base_name: &str) -> StorePath {
    StorePath::from_base_name(base_name).expect("a store path")
}

/// A derivation of `/bin/sh` whose outputs are not filled in.
fn shell(name: &str, outputs: &[&str], script: Option<&str>, env: &[(&str, &str)]) -> Derivation {
    let mut drv = Derivation {
        name: name.into(),
        system: "x86_64-linux".into(),
        builder: b"/bin/sh".to_vec(),
        args: script.into_iter().flat_map(|text| [b"-c".to_vec(), text.into()]).collect(),
        ..Derivation::default()
    };
    for output in outputs {
        drv.outputs.insert((*output).into(), Output::Deferred);
    }
    for (key, value) in
        [("builder", "/bin/sh"), ("name", name), ("system", "x86_64-linux")].iter().chain(env)
    {
        drv.env.insert(key.as_bytes().to_vec(), value.as_bytes().to_vec());
    }
    drv
}

fn fixed(name: &str, method: FileMethod, algo: HashAlgo, env: &[(&str, &str)]) -> Derivation {
    let mut drv = shell(name, &[], Some("exit 1"), env);
    let ca = ContentAddress::Fixed { method, hash: Hash::of(algo, b"") };
    drv.outputs.insert("out".into(), Output::Fixed { ca });
    drv
}

/// A little store: derivations by path.
#[derive(Default)]
struct Drvs {
    dir: StoreDir,
    drvs: BTreeMap<StorePath, Arc<Derivation>>,
}

impl Drvs {
    fn load(&self, path: &StorePath) -> Result<Arc<Derivation>, Infallible> {
        Ok(self.drvs[path].clone())
    }

    /// Fills in the output paths, with a cache that knows nothing.
    fn add(&mut self, mut drv: Derivation) -> StorePath {
        let cache = ModuloCache::new();
        fill_output_paths(&self.dir, &mut drv, &cache, &mut |path| self.load(path))
            .expect("has output paths");
        check_output_paths(&self.dir, &drv, &cache, &mut |path| self.load(path))
            .expect("paths are right");
        let path = drv.make_drv_path(&self.dir).expect("has a path");
        let text = drv.write(&self.dir);
        assert_eq!(Derivation::parse(&self.dir, &drv.name, &text).as_ref(), Ok(&drv));
        self.drvs.insert(path.clone(), Arc::new(drv));
        path
    }

    fn modulo(&self, path: &StorePath, masked: bool) -> Modulo {
        let cache = ModuloCache::new();
        hash_modulo(&self.dir, &self.drvs[path], masked, &cache, &mut |path| self.load(path))
            .expect("has a hash")
    }

    fn out(&self, path: &StorePath, output: &str) -> String {
        self.drvs[path].output_path(&self.dir, output).expect("is known").base_name().to_owned()
    }
}

fn published() -> (Drvs, [StorePath; 5]) {
    let mut drvs = Drvs::default();
    let simple = drvs.add(shell("simple", &["out"], None, &[]));
    let two = drvs.add(shell(
        "two",
        &["out", "dev"],
        Some("echo x > $out; echo y > $dev"),
        &[("outputs", "out dev")],
    ));
    let sha1 = Hash::of(HashAlgo::Sha1, b"").to_base16();
    let fod = drvs.add(fixed(
        "hello-2.1.1.tar.gz",
        FileMethod::Flat,
        HashAlgo::Sha1,
        &[("outputHash", &sha1), ("outputHashAlgo", "sha1"), ("outputHashMode", "flat")],
    ));
    let tree = drvs.add(fixed("tree", FileMethod::Nar, HashAlgo::Sha256, &[]));
    let mut consumer = shell(
        "consumer",
        &["out"],
        Some("cat $src $lib > $out"),
        &[
            ("src", "/nix/store/za6jfw2w1c8islc9d3gh7i6dis8n1ka4-hello-2.1.1.tar.gz"),
            ("lib", "/nix/store/0h67wdvdh4zx8sjj4dnqyxhh7p3bcz22-two-dev"),
            ("txt", "/nix/store/3cmrvzmwi8kl03zzg5i25crdy3pjz95w-ref.txt"),
        ],
    );
    consumer.input_srcs = BTreeSet::from([path("3cmrvzmwi8kl03zzg5i25crdy3pjz95w-ref.txt")]);
    consumer.input_drvs = BTreeMap::from([
        (two.clone(), BTreeSet::from(["dev".into()])),
        (fod.clone(), BTreeSet::from(["out".into()])),
    ]);
    let consumer = drvs.add(consumer);
    (drvs, [simple, two, fod, tree, consumer])
}

fn sha256(hex: &str) -> Hash {
    Hash::parse(hex, Some(HashAlgo::Sha256)).expect("a digest")
}

#[test]
fn derivations_have_the_published_paths_and_texts() {
    let (drvs, [simple, two, fod, tree, consumer]) = published();
    assert_eq!(simple.base_name(), "2wwpgwhlrid6ypd4f01r72hdpr4l7qgz-simple.drv");
    assert_eq!(fod.base_name(), "ljgz34ahsq5lhnzfdfrfl693d3hr2q1a-hello-2.1.1.tar.gz.drv");
    assert_eq!(drvs.out(&simple, "out"), "nj83liashqlzmxjq8lyfxrx21whvgpqj-simple");
    assert_eq!(drvs.out(&two, "out"), "xbfidmgcfc65swral983bxnig5swnigw-two");
    assert_eq!(drvs.out(&two, "dev"), "0h67wdvdh4zx8sjj4dnqyxhh7p3bcz22-two-dev");
    assert_eq!(drvs.out(&fod, "out"), "za6jfw2w1c8islc9d3gh7i6dis8n1ka4-hello-2.1.1.tar.gz");
    assert_eq!(drvs.out(&tree, "out"), "1h48vji4kxgspjfvwvsc5hfwbf08qn5v-tree");
    assert_eq!(drvs.out(&consumer, "out"), "gm5cy7mkkdpmfll6wisklaa6i6gdwk4n-consumer");
    let text = |path: &StorePath| String::from_utf8(drvs.drvs[path].write(&drvs.dir));
    assert_eq!(
        text(&simple).as_deref(),
        Ok(
            r#"Derive([("out","/nix/store/nj83liashqlzmxjq8lyfxrx21whvgpqj-simple","","")],[],[],"x86_64-linux","/bin/sh",[],[("builder","/bin/sh"),("name","simple"),("out","/nix/store/nj83liashqlzmxjq8lyfxrx21whvgpqj-simple"),("system","x86_64-linux")])"#
        )
    );
    assert_eq!(
        text(&fod).as_deref(),
        Ok(
            r#"Derive([("out","/nix/store/za6jfw2w1c8islc9d3gh7i6dis8n1ka4-hello-2.1.1.tar.gz","sha1","da39a3ee5e6b4b0d3255bfef95601890afd80709")],[],[],"x86_64-linux","/bin/sh",["-c","exit 1"],[("builder","/bin/sh"),("name","hello-2.1.1.tar.gz"),("out","/nix/store/za6jfw2w1c8islc9d3gh7i6dis8n1ka4-hello-2.1.1.tar.gz"),("outputHash","da39a3ee5e6b4b0d3255bfef95601890afd80709"),("outputHashAlgo","sha1"),("outputHashMode","flat"),("system","x86_64-linux")])"#
        )
    );
}

#[test]
fn hashes_modulo_are_the_published_ones() {
    let (drvs, [simple, two, fod, tree, consumer]) = published();
    for (path, masked, unmasked) in [
        (
            &simple,
            "4fb24dbe3bec79dacb9278ede7b7ee777ddf3d9de136a9f69c45a4ef5a9089d7",
            "37f3a066589174f50366fc902cd2052efae5bdb29214facae2f587a0c9af1a15",
        ),
        (
            &two,
            "e43d6326dd106950bc919320fbdda99613be9e36949ff4e8397fea3f9633f120",
            "60dc02f7d0e32c34d11b2d6c6f23c46cbcaf35cec1aa64f94cc48437b2891772",
        ),
        (
            &consumer,
            "ae9115cec998784d3548ad04b640d3b3df9a5ebb0441f7b72b08de34eeeb835b",
            "33a59beba108cfef67fc18405bdd95fcafe5543ec5eb82284e396195991fd237",
        ),
    ] {
        assert_eq!(drvs.modulo(path, true), Modulo::Plain(sha256(masked)), "{path}");
        assert_eq!(drvs.modulo(path, false), Modulo::Plain(sha256(unmasked)), "{path}");
    }
    for (path, hash) in [
        (&fod, "6523855fa2dc4cd7ebec927b8cad390a1e3977b2cf19c809f024258fd189fce1"),
        (&tree, "19cead52357a1b90f1abfa6b0baab4fd9886b6f9cea359277a7818e79e5888d6"),
    ] {
        assert_eq!(drvs.modulo(path, false), Modulo::Fixed(sha256(hash)), "{path}");
    }
}

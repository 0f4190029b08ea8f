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

#[test]
fn the_cache_is_asked_before_inputs_are_loaded() {
    let (drvs, [_, two, fod, _, consumer]) = published();
    let cache = ModuloCache::new();
    let mut loaded = Vec::new();
    let first = hash_modulo(&drvs.dir, &drvs.drvs[&consumer], true, &cache, &mut |path| {
        loaded.push(path.clone());
        drvs.load(path)
    });
    assert_eq!(BTreeSet::from_iter(loaded), BTreeSet::from([two, fod]));
    assert_eq!(cache.len(), 2);
    let again = hash_modulo(&drvs.dir, &drvs.drvs[&consumer], true, &cache, &mut |path| {
        Err::<Arc<Derivation>, _>(format!("{path} is loaded again"))
    });
    assert_eq!(again.ok(), first.ok());
}

#[test]
fn what_depends_on_contents_not_known_yet_is_deferred() {
    let mut drvs = Drvs::default();
    let mut floating = shell("floating", &[], None, &[]);
    let (method, algo) = (CaMethod::File(FileMethod::Nar), HashAlgo::Sha256);
    floating.outputs.insert("out".into(), Output::Floating { method, algo });
    let floating = drvs.add(floating);
    assert_eq!(
        drvs.drvs[&floating].env[&b"out"[..]],
        b"/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9"
    );
    let mut user = shell("user", &["out"], None, &[]);
    user.input_drvs = BTreeMap::from([(floating, BTreeSet::from(["out".into()]))]);
    let user = drvs.add(user);
    assert_eq!(drvs.drvs[&user].outputs["out"], Output::Deferred);
    assert_eq!(drvs.drvs[&user].env[&b"out"[..]], b"");
    assert_eq!(drvs.modulo(&user, false), Modulo::Deferred);
    let mut user_of_user = shell("user-of-user", &["out"], None, &[]);
    user_of_user.input_drvs = BTreeMap::from([(user, BTreeSet::from(["out".into()]))]);
    let user_of_user = drvs.add(user_of_user);
    assert_eq!(drvs.drvs[&user_of_user].outputs["out"], Output::Deferred);
}

#[test]
fn inputs_that_are_made_differently_but_alike_merge() {
    // Two ways to fetch the same file: one key, one set of output names.
    let mut drvs = Drvs::default();
    let one = drvs.add(fixed("src", FileMethod::Flat, HashAlgo::Sha256, &[("url", "a")]));
    let other = drvs.add(fixed("src", FileMethod::Flat, HashAlgo::Sha256, &[("url", "b")]));
    assert_ne!(one, other);
    let mut modulos = Vec::new();
    for inputs in [vec![&one], vec![&other], vec![&one, &other]] {
        let mut user = shell("user", &["out"], None, &[]);
        for input in inputs {
            user.input_drvs.insert(input.clone(), BTreeSet::from(["out".into()]));
        }
        let user = drvs.add(user);
        modulos.push(drvs.modulo(&user, false));
    }
    assert!(modulos.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_long_chain_and_a_wide_graph_need_no_stack_and_load_once() {
    let dir = StoreDir::default();
    let mut drvs: Vec<(StorePath, Arc<Derivation>)> = Vec::new();
    // Every derivation needs the two before it: without memory, loads would double with each.
    for i in 0..20_000 {
        let mut drv = shell(&format!("d{i}"), &["out"], None, &[]);
        for (path, _) in drvs.iter().rev().take(2) {
            drv.input_drvs.insert(path.clone(), BTreeSet::from(["out".into()]));
        }
        let path = dir.make_text_path(&format!("d{i}.drv"), b"", &BTreeSet::new()).expect("a name");
        drvs.push((path, Arc::new(drv)));
    }
    let by_path: BTreeMap<_, _> = drvs.iter().cloned().collect();
    let cache = ModuloCache::new();
    let mut n_loads = 0;
    let last = &drvs.last().expect("not empty").1;
    hash_modulo(&dir, last, true, &cache, &mut |path| {
        n_loads += 1;
        Ok::<_, Infallible>(by_path[path].clone())
    })
    .expect("has a hash");
    assert_eq!(n_loads, 19_999);
}

#[test]
fn a_cycle_and_a_missing_output_are_errors() {
    let dir = StoreDir::default();
    let (a, b) = (
        path("00000000000000000000000000000000-a.drv"),
        path("11111111111111111111111111111111-b.drv"),
    );
    let needs = |input: &StorePath| {
        let mut drv = shell("x", &["out"], None, &[]);
        drv.input_drvs.insert(input.clone(), BTreeSet::from(["out".into()]));
        Arc::new(drv)
    };
    let result = hash_modulo(&dir, &needs(&a), true, &ModuloCache::new(), &mut |path| {
        Ok::<_, Infallible>(if *path == a { needs(&b) } else { needs(&a) })
    });
    assert_eq!(result, Err(ModuloError::Cycle(a.clone())));
    let mut drv = shell("x", &["out"], None, &[]);
    drv.input_drvs.insert(a.clone(), BTreeSet::from(["doc".into()]));
    let fod = Arc::new(fixed("a", FileMethod::Flat, HashAlgo::Sha1, &[]));
    let result = hash_modulo(&dir, &drv, true, &ModuloCache::new(), &mut |_| {
        Ok::<_, Infallible>(fod.clone())
    });
    assert_eq!(result, Err(ModuloError::MissingOutput { drv: a.clone(), output: "doc".into() }));
    let result = hash_modulo(&dir, &needs(&a), true, &ModuloCache::new(), &mut |_| Err("no"));
    assert_eq!(result, Err(ModuloError::Load("no")));
}

#[test]
fn wrong_output_paths_and_variables_are_found() {
    let (drvs, [simple, _, fod, ..]) = published();
    let check = |drv: &Derivation| {
        check_output_paths(&drvs.dir, drv, &ModuloCache::new(), &mut |path| drvs.load(path))
    };
    let right = &*drvs.drvs[&simple];
    assert_eq!(check(right), Ok(()));
    let mut drv = right.clone();
    let other = path("1h48vji4kxgspjfvwvsc5hfwbf08qn5v-simple");
    drv.outputs.insert("out".into(), Output::InputAddressed(other));
    assert!(matches!(check(&drv), Err(OutputPathError::Path { .. })));
    drv.outputs.insert("out".into(), Output::Deferred);
    assert!(matches!(check(&drv), Err(OutputPathError::Path { found: None, .. })));
    let mut drv = right.clone();
    drv.system.push('x');
    assert!(matches!(check(&drv), Err(OutputPathError::Path { .. })));
    for drv in [right, &*drvs.drvs[&fod]] {
        let mut drv = drv.clone();
        drv.env.insert(b"out".to_vec(), b"/elsewhere".to_vec());
        assert!(matches!(check(&drv), Err(OutputPathError::Variable { .. })));
        drv.env.remove(&b"out"[..]);
        assert!(check(&drv).is_err());
    }
}

#[test]
fn texts_in_another_form_are_refused() {
    use crate::aterm::AtermError;
    let (drvs, [simple, two, fod, _, consumer]) = published();
    let dir = &drvs.dir;
    let text = |path: &StorePath| String::from_utf8(drvs.drvs[path].write(dir)).expect("is ASCII");
    let parse = |path: &StorePath, from: &str, to: &str| {
        let text = text(path);
        assert!(text.contains(from), "{from}");
        let name = path.name().trim_end_matches(".drv");
        Derivation::parse(dir, name, text.replacen(from, to, 1).as_bytes())
    };
    assert!(parse(&simple, "Derive(", "Derive(").is_ok());
    let syntax = |from: &str, to: &str| {
        let error = parse(&simple, from, to).expect_err("is refused");
        assert!(matches!(error, DerivationError::Syntax(_)), "{from} {to}: {error}");
    };
    syntax("Derive(", "derive(");
    syntax("Derive(", "Derive( ");
    syntax("),(", "), (");
    syntax("\"system\",", "\"system\"");
    syntax(",[],[],", ",[],");
    assert_eq!(
        parse(&simple, "Derive(", "DrvWithVersion(\"xp-dyn-drv\","),
        Err(DerivationError::Dynamic)
    );
    let end = text(&simple).len();
    let trailing = format!("{}\n", text(&simple));
    assert_eq!(
        Derivation::parse(dir, "simple", trailing.as_bytes()),
        Err(DerivationError::Trailing(end))
    );
    for end in 0..end {
        let cut = &text(&simple).into_bytes()[..end];
        assert!(Derivation::parse(dir, "simple", cut).is_err(), "cut at {end}");
    }
    let not_utf8 = text(&simple).into_bytes();
    let at = text(&simple).find("x86_64").expect("is there");
    let not_utf8 = [&not_utf8[..at], b"\xff", &not_utf8[at..]].concat();
    assert!(matches!(
        Derivation::parse(dir, "simple", &not_utf8),
        Err(DerivationError::Syntax(AtermError::Utf8 { .. }))
    ));

    // Order and repetition.
    let order = |path: &StorePath, from: &str, to: &str| {
        let error = parse(path, from, to).expect_err("is refused");
        assert!(matches!(error, DerivationError::Order { .. }), "{from} {to}: {error}");
    };
    order(&simple, "(\"name\",", "(\"builder\",");
    order(&simple, "(\"name\",", "(\"z\",");
    order(&two, "(\"dev\",", "(\"out\",");
    order(&consumer, "[\"dev\"]", "[\"dev\",\"dev\"]");
    order(&consumer, "[\"dev\"]", "[\"dev\",\"bin\"]");
    let txt = "\"/nix/store/3cmrvzmwi8kl03zzg5i25crdy3pjz95w-ref.txt\"";
    order(&consumer, &format!("[{txt}]"), &format!("[{txt},{txt}]"));

    // What the outputs say.
    let error = |path: &StorePath, from: &str, to: &str| parse(path, from, to).expect_err(to);
    let sha1 = Hash::of(HashAlgo::Sha1, b"").to_base16();
    let other = Hash::of(HashAlgo::Sha1, b"x").to_base16();
    use DerivationError as E;
    assert!(matches!(error(&fod, &sha1, &other), E::FixedPath { .. }));
    assert!(matches!(error(&fod, &sha1, &sha1.to_uppercase()), E::Hash(_)));
    assert!(matches!(error(&fod, &sha1, &sha1[1..]), E::Hash(_)));
    assert!(matches!(error(&fod, "\"sha1\",\"", "\"r:sha1\",\""), E::FixedPath { .. }));
    assert!(matches!(error(&fod, "\"sha1\",\"", "\"git:sha1\",\""), E::Method(_)));
    assert!(matches!(error(&fod, "\"sha1\",\"", "\"sha3\",\""), E::Method(_)));
    assert!(matches!(error(&fod, "\"sha1\",\"", "\"\",\""), E::Output(_)));
    assert!(matches!(error(&fod, &format!("\"sha1\",\"{sha1}\""), "\"sha1\",\"\""), E::Output(_)));
    assert!(matches!(error(&simple, "/nix/store/", "/gnu/store/"), E::Path(_)));
    assert!(matches!(error(&simple, "/nix/store/", "/nix/store//"), E::Path(_)));
    assert!(matches!(error(&simple, "(\"out\"", "(\"a/b\""), E::Name(_)));

    // What must hold together.
    let shape = |path: &StorePath, from: &str, to: &str| match error(path, from, to) {
        E::Shape(error) => error,
        error => panic!("{error}"),
    };
    let out = "(\"out\",\"/nix/store/nj83liashqlzmxjq8lyfxrx21whvgpqj-simple\",\"\",\"\")";
    assert_eq!(shape(&simple, out, ""), ShapeError::NoOutput);
    assert!(matches!(
        shape(&simple, out, &format!("(\"a\",\"\",\"\",\"\"),{out}")),
        ShapeError::MixedOutputs(..)
    ));
    let floating = "(\"a\",\"\",\"r:sha256\",\"\"),(\"b\",\"\",\"sha256\",\"\")";
    assert!(matches!(shape(&simple, out, floating), ShapeError::MixedOutputs(..)));
    assert!(matches!(shape(&consumer, "[\"dev\"]", "[]"), ShapeError::UnusedInput(_)));
    assert!(matches!(shape(&consumer, "-two.drv", "-two"), ShapeError::NoDerivation(_)));
    assert!(matches!(shape(&simple, "\"x86", "\"\\\"x86"), ShapeError::System(_)));
    assert!(matches!(Derivation::parse(dir, "a b", b""), Err(E::Name(_))));
    assert!(matches!(
        Derivation::parse(dir, "a", &vec![b' '; MAX_LEN + 1]),
        Err(E::Long(n)) if n == MAX_LEN + 1
    ));
}

#[test]
fn a_fixed_output_is_alone_and_called_out() {
    let mut drv = fixed("a", FileMethod::Flat, HashAlgo::Sha1, &[]);
    assert_eq!(drv.check_shape(), Ok(()));
    let output = drv.outputs["out"].clone();
    drv.outputs.insert("two".into(), output.clone());
    assert_eq!(drv.check_shape(), Err(ShapeError::FixedOutput("two".into())));
    drv.outputs = BTreeMap::from([("bin".into(), output)]);
    assert_eq!(drv.check_shape(), Err(ShapeError::FixedOutput("bin".into())));
}

#[test]
fn all_kinds_of_outputs_come_back() {
    let dir = StoreDir::default();
    let text = CaMethod::Text;
    for (method, algo) in [
        (text, HashAlgo::Sha256),
        (CaMethod::File(FileMethod::Flat), HashAlgo::Sha512),
        (CaMethod::File(FileMethod::Nar), HashAlgo::Sha1),
    ] {
        for output in [
            Output::Floating { method, algo },
            Output::Impure { method, algo },
            Output::Fixed { ca: method.address(Hash::of(algo, b"")) },
            Output::Deferred,
        ] {
            let mut drv = shell("a", &[], None, &[]);
            drv.outputs.insert("out".into(), output);
            assert_eq!(Derivation::parse(&dir, "a", &drv.write(&dir)), Ok(drv));
        }
    }
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    fn paths(suffix: &'static str) -> impl Strategy<Value = StorePath> {
        (any::<[u8; 20]>(), "[a-z][a-z0-9.-]{0,9}").prop_map(move |(hash, name)| {
            StorePath::new(&hash, &format!("{name}{suffix}")).expect("a name")
        })
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..20),
            "[\"\\\\\n\t\r$a]{0,8}".prop_map(String::into_bytes),
        ]
    }

    prop_compose! {
        fn derivations()(
            name in "[a-z][a-z0-9.-]{0,9}",
            outputs in prop::collection::btree_map("[a-z]{1,4}", paths(""), 1..4),
            input_drvs in prop::collection::btree_map(
                paths(".drv"),
                prop::collection::btree_set("[a-z]{1,4}", 1..3),
                0..4,
            ),
            input_srcs in prop::collection::btree_set(paths(""), 0..4),
            system in "[a-z0-9_-]{0,12}",
            builder in bytes(),
            args in prop::collection::vec(bytes(), 0..4),
            env in prop::collection::btree_map(bytes(), bytes(), 0..6),
        ) -> Derivation {
            let outputs = outputs
                .into_iter()
                .map(|(name, path)| (name, Output::InputAddressed(path)))
                .collect();
            Derivation { name, outputs, input_drvs, input_srcs, system, builder, args, env }
        }
    }

    proptest! {
        #[test]
        fn derivations_come_back(drv in derivations()) {
            let dir = StoreDir::default();
            let text = drv.write(&dir);
            prop_assert_eq!(Derivation::parse(&dir, &drv.name, &text), Ok(drv));
        }

        #[test]
        fn no_text_breaks_the_reader(drv in derivations(), at: prop::sample::Index, byte: u8) {
            let dir = StoreDir::default();
            let mut text = drv.write(&dir);
            let at = at.index(text.len());
            text[at] = byte;
            if let Ok(drv) = Derivation::parse(&dir, &drv.name, &text) {
                let text = drv.write(&dir);
                prop_assert_eq!(Derivation::parse(&dir, &drv.name, &text), Ok(drv));
            }
        }
    }
}

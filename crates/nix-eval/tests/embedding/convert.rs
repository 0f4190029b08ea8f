//! Rust values become values, and back.

use std::{collections::BTreeMap, path::PathBuf};

use nix_eval::{ContextPolicy, ConvertOptions, ErrorKind, Handle, NixString, host::NixPath};
use serde::{Deserialize, Serialize};

use crate::{eval, read, refuses, session, show};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Site {
    name: String,
    ports: Vec<u16>,
    tls: Option<bool>,
    root: PathBuf,
    #[serde(default)]
    labels: BTreeMap<String, f64>,
    mode: Mode,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    Static,
    Proxy { to: String },
    Redirect(String),
    Pair(i64, i64),
}

#[test]
fn structs_lists_maps_and_enums_are_read() {
    let site: Site = read(
        r#"rec {
            name = "a" + "b"; ports = map (x: x + 80) [ 0 1 ]; root = /srv/www;
            labels.x = 1.5; mode.proxy.to = name; unused = throw "not forced";
        }"#,
    )
    .unwrap();
    assert_eq!(
        site,
        Site {
            name: "ab".to_owned(),
            ports: vec![80, 81],
            tls: None,
            root: PathBuf::from("/srv/www"),
            labels: BTreeMap::from([("x".to_owned(), 1.5)]),
            mode: Mode::Proxy { to: "ab".to_owned() },
        }
    );
    assert_eq!(read::<Mode>("\"static\"").unwrap(), Mode::Static);
    assert_eq!(read::<Mode>("{ redirect = \"x\"; }").unwrap(), Mode::Redirect("x".to_owned()));
    assert_eq!(read::<Mode>("{ pair = [ 1 2 ]; }").unwrap(), Mode::Pair(1, 2));
    assert_eq!(read::<(i8, bool, Option<()>)>("[ (-1) true null ]").unwrap(), (-1, true, None));
    assert_eq!(
        read::<serde_json::Value>("{ a = [ 1 2.5 null \"x\" { } ]; }").unwrap(),
        serde_json::json!({ "a": [1, 2.5, null, "x", {}] })
    );
    assert_eq!(
        read::<BTreeMap<u8, String>>("{ \"1\" = \"a\"; \"20\" = \"b\"; }").unwrap(),
        BTreeMap::from([(1, "a".to_owned()), (20, "b".to_owned())])
    );
}

#[test]
fn tagged_and_untagged_enums_and_flattened_structs_are_read() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "kind", rename_all = "lowercase")]
    enum Tagged {
        Disk { size: u64 },
    }
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        One(i64),
        Many(Vec<i64>),
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct Outer {
        a: i64,
        #[serde(flatten)]
        rest: BTreeMap<String, i64>,
    }
    assert_eq!(read::<Tagged>("{ kind = \"disk\"; size = 3; }").unwrap(), Tagged::Disk { size: 3 });
    assert_eq!(read::<Untagged>("1").unwrap(), Untagged::One(1));
    assert_eq!(read::<Untagged>("[ 1 2 ]").unwrap(), Untagged::Many(vec![1, 2]));
    let outer = Outer { a: 1, rest: BTreeMap::from([("b".to_owned(), 2)]) };
    assert_eq!(read::<Outer>("{ a = 1; b = 2; }").unwrap(), outer);
}

#[test]
fn a_wrong_value_is_reported_with_its_place_and_its_path() {
    refuses::<Site>(
        "{\n  name = \"x\";\n  ports = [ 80 443 \"8080\" ];\n}",
        "\
error: expected an integer from 0 to 65535 but found a string: \"8080\"
   at «test»:3:3
  3 |   ports = [ 80 443 \"8080\" ];
    |   ^^^^^
   while ports[2]
",
    );
    refuses::<BTreeMap<String, u8>>(
        "{ a = 1;\n  b = 256; }",
        "\
error: expected an integer from 0 to 255 but found an integer: 256
   at «test»:2:3
  2 |   b = 256; }
    |   ^
   while b
",
    );
    refuses::<Mode>(
        "{ m = \"statik\"; }.m",
        "error: expected one of 'static', 'proxy', 'redirect', 'pair' but found 'statik'\n   help: did you mean 'static'?\n",
    );
    refuses::<Mode>("\"proxy\"", "error: 'proxy' needs a value; write { proxy = …; }\n");
    refuses::<(i64, i64)>("[ 1 2 3 ]", "error: expected a list of 2 elements but found 3\n");
    refuses::<(i64, i64)>("[ 1 ]", "error: expected a tuple of size 2 but found 1 elements\n");
}

#[test]
fn misspelt_attributes_get_a_hint() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its reading matters")]
    struct Strict {
        domain: String,
    }
    refuses::<Strict>(
        "{ domian = \"x\"; }",
        "\
error: unexpected attribute 'domian'
   at «test»:1:3
  1 | { domian = \"x\"; }
    |   ^^^^^^
   help: did you mean 'domain'?
",
    );
    refuses::<Strict>("{ }", "error: attribute 'domain' missing\n");
    assert_eq!(read::<Strict>("{ }").unwrap_err().kind(), ErrorKind::Missing);
}

#[test]
fn numbers_are_exact_unless_asked_otherwise() {
    assert!(read::<f64>("1").is_err());
    assert!(read::<i64>("1.0").is_err());
    assert!(read::<u64>("-1").is_err());
    let mut lossy = ConvertOptions::default();
    lossy.lossy_numbers = true;
    let session = session();
    assert_eq!(eval(&session, "1").to_with::<f64>(lossy).unwrap().value, 1.0);
    assert_eq!(eval(&session, "1.9").to_with::<i64>(lossy).unwrap().value, 1);
    assert_eq!(read::<i64>("9223372036854775807").unwrap(), i64::MAX);
}

#[test]
fn failures_inside_keep_their_class() {
    let error = read::<Vec<i64>>("[ 1 (throw \"no\") ]").unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Thrown, "no"));
    assert_eq!(format!("{:?}", error.path()), "[Index(1)]");
}

const OUTPUT: &str = r#"builtins.appendContext "/nix/store/x/bin" {
    "/nix/store/00000000000000000000000000000000-x.drv".outputs = [ "out" ];
}"#;

#[test]
fn context_is_not_lost_silently() {
    let session = session();
    let text = eval(&session, OUTPUT);
    let error = text.to::<String>().unwrap_err();
    assert_eq!(error.class().name(), "context");
    let mut options = ConvertOptions::default();
    options.context = ContextPolicy::Keep;
    let kept = text.to_with::<String>(options).unwrap();
    assert_eq!((kept.value.as_str(), kept.context.len()), ("/nix/store/x/bin", 1));
    options.context = ContextPolicy::Drop;
    assert_eq!(text.to_with::<String>(options).unwrap().context.len(), 0);

    // There and back again.
    let string: NixString = text.to().unwrap();
    assert_eq!(string.context, kept.context);
    let back = session.value(&vec![string]).unwrap();
    let has = eval(&session, "xs: builtins.getContext (builtins.head xs)").call(&[back]).unwrap();
    assert_eq!(
        show(&has),
        "{ \"/nix/store/00000000000000000000000000000000-x.drv\" = { outputs = [ \"out\" ]; }; }"
    );
}

#[test]
fn rust_values_become_values() {
    let session = session();
    let site = Site {
        name: "x\n".to_owned(),
        ports: vec![1, 2],
        tls: None,
        root: PathBuf::from("/srv"),
        labels: BTreeMap::from([("a b".to_owned(), 0.5)]),
        mode: Mode::Proxy { to: "y".to_owned() },
    };
    let value = session.value(&site).unwrap();
    assert_eq!(
        show(&value),
        r#"{ labels = { "a b" = 0.5; }; mode = { proxy = { to = "y"; }; }; name = "x\n"; ports = [ 1 2 ]; root = "/srv"; tls = null; }"#
    );
    assert_eq!(value.to::<Site>().unwrap(), site);
    assert!(session.value(&u64::MAX).unwrap_err().message().contains("does not fit"));
    assert!(session.value("a\0b").unwrap_err().message().contains("NUL"));
    let path = NixPath::root("/a/b");
    assert_eq!(show(&session.value(&path).unwrap()), "/a/b");
    assert_eq!(session.value(&path).unwrap().to::<NixPath>().unwrap(), path);
}

#[test]
fn handles_inside_of_structs_stay_lazy_both_ways() {
    #[derive(Serialize, Deserialize)]
    struct Package {
        name: String,
        build: Handle,
    }
    let session = session();
    let package: Package =
        eval(&session, "{ name = \"x\"; build = throw \"forced\"; }").to().unwrap();
    assert_eq!(package.name, "x");
    assert_eq!(package.build.force().unwrap_err().message(), "forced");
    let value = session.value(&vec![package]).unwrap();
    assert_eq!(value.at(0).unwrap().get("build").unwrap().force().unwrap_err().message(), "forced");
    // A handle is no data, and belongs to its session.
    let handle = eval(&session, "1");
    assert!(serde_json::to_string(&handle).unwrap_err().to_string().contains("Handle::to"));
    assert!(serde_json::from_str::<Handle>("1").is_err());
    let other = self::session();
    assert!(other.value(&handle).unwrap_err().message().contains("another session"));
}

#[test]
fn endless_data_ends_in_an_error() {
    let error = read::<serde_json::Value>("let a = { inherit a; }; in a").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    let deep = "builtins.foldl' (acc: _: [ acc ]) [ ] (builtins.genList (x: x) 100000)";
    assert_eq!(read::<serde_json::Value>(deep).unwrap_err().kind(), ErrorKind::Limit);
}

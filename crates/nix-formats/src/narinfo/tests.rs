use proptest::prelude::*;

use super::*;

const REF: &str = "3cmrvzmwi8kl03zzg5i25crdy3pjz95w-ref.txt";
const HELLO: &str = "qa1w9gdfrba6jl2r57mb3c43863gqywp-hello.txt";

fn path(base_name: &str) -> StorePath {
    StorePath::from_base_name(base_name).expect("a store path")
}

fn key() -> SecretKey {
    let seed: Vec<u8> = (0..32).collect();
    SecretKey::from_seed("test-1", &seed.try_into().expect("32 bytes")).expect("a name")
}

fn example() -> NarInfo {
    NarInfo {
        path: path(REF),
        url: "nar/abc.nar.xz?x=y:z".into(),
        compression: "xz".into(),
        file_hash: Some(Hash::of(HashAlgo::Sha256, b"")),
        file_size: Some(0),
        nar_hash: Hash::parse("sha256:0400g7b10vr4s9sjr2900dv76vycxqpsaxwl2hgwhadrlxcf8vmn", None)
            .expect("a hash"),
        nar_size: 176,
        references: BTreeSet::from([path(HELLO)]),
        deriver: Some(path(&REF.replace(".txt", ".drv"))),
        signatures: vec!["a:b".into(), "c:d".into()],
        ca: Some(
            ContentAddress::parse(
                "text:sha256:18gh8j233979r0blaz24aikbwrjgj32sxpdzsydrk89lmg8q5107",
            )
            .expect("a content address"),
        ),
    }
}

fn minimal() -> String {
    format!(
        "StorePath: /nix/store/{REF}\nURL: x\n\
         NarHash: sha256:0400g7b10vr4s9sjr2900dv76vycxqpsaxwl2hgwhadrlxcf8vmn\nNarSize: 176\n"
    )
}

fn parse(text: &str) -> Result<NarInfo, NarInfoError> {
    NarInfo::parse(&StoreDir::default(), text.as_bytes())
}

#[test]
fn the_published_object_has_the_published_signature() {
    let dir = StoreDir::default();
    let info = example();
    let text = info.fingerprint(&dir);
    assert_eq!(
        text,
        "1;/nix/store/3cmrvzmwi8kl03zzg5i25crdy3pjz95w-ref.txt;sha256:0400g7b10vr4s9sjr2900dv76vycxqpsaxwl2hgwhadrlxcf8vmn;176;/nix/store/qa1w9gdfrba6jl2r57mb3c43863gqywp-hello.txt"
    );
    let public = "test-1:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";
    assert_eq!(key().public_key().to_string(), public);
    let signature = "test-1:i6KmnnNVO+6cCWmPBQvqvpxZ9mlP8RTioQo81FFr2/5Ec58BnoeSYMYQBLim7m9cfiuVdRRNw8ODXNaNtU3NDw==";
    assert_eq!(key().sign(&text).to_string(), signature);
    let public = PublicKey::parse(public).expect("a key");
    let signature = Signature::parse(signature).expect("a signature");
    assert!(public.verify(&text, &signature));
    assert!(!public.verify(text.replace("176", "177"), &signature));
    let other = PublicKey::parse(&public.to_string().replace("test-1", "test-2")).expect("a key");
    assert!(!other.verify(&text, &signature), "the name counts");
    assert!(is_signed_by(&text, ["nonsense", &signature.to_string()], [&other, &public]));
    assert!(!is_signed_by(&text, ["nonsense", "a:b"], [&other, &public]));
}

#[test]
fn keys_come_back() {
    let text = key().to_secret_text();
    assert_eq!(SecretKey::parse(&format!("{text}\n")).expect("a key").to_secret_text(), text);
    assert!(!format!("{:?}", key()).contains(&text[10..20]));
    let mut bytes = data_encoding::BASE64.decode(&text.as_bytes()[7..]).expect("base-64");
    bytes[63] ^= 1;
    let other = format!("test-1:{}", data_encoding::BASE64.encode(&bytes));
    assert!(matches!(SecretKey::parse(&other), Err(KeyError::Corrupt(_))));
    for text in ["", "abc", ":AAAA"] {
        assert_eq!(PublicKey::parse(text), Err(KeyError::NoName), "{text}");
    }
    for text in ["a:", "a:AAAA", "a:!", "a:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"] {
        assert_eq!(PublicKey::parse(text), Err(KeyError::Corrupt("a".into())), "{text}");
        assert!(Signature::parse(text).is_err(), "{text}");
    }
}

#[test]
fn signatures_that_fit_many_texts_are_refused() {
    // The neutral point as key: with it as R and 0 as S the bare equation holds for every text.
    let mut point = [0; 32];
    point[0] = 1;
    let Ok(key) = PublicKey::parse(&format!("a:{}", data_encoding::BASE64.encode(&point))) else {
        return;
    };
    let signature = [point, [0; 32]].concat();
    let signature = format!("a:{}", data_encoding::BASE64.encode(&signature));
    assert!(!key.verify("any", &Signature::parse(&signature).expect("a signature")));
}

#[test]
fn all_fields_are_written_in_order() {
    expect_test::expect![[r#"
        StorePath: /nix/store/3cmrvzmwi8kl03zzg5i25crdy3pjz95w-ref.txt
        URL: nar/abc.nar.xz?x=y:z
        Compression: xz
        FileHash: sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73
        FileSize: 0
        NarHash: sha256:0400g7b10vr4s9sjr2900dv76vycxqpsaxwl2hgwhadrlxcf8vmn
        NarSize: 176
        References: qa1w9gdfrba6jl2r57mb3c43863gqywp-hello.txt
        Deriver: 3cmrvzmwi8kl03zzg5i25crdy3pjz95w-ref.drv
        Sig: a:b
        Sig: c:d
        CA: text:sha256:18gh8j233979r0blaz24aikbwrjgj32sxpdzsydrk89lmg8q5107
    "#]]
    .assert_eq(&example().write(&StoreDir::default()));
    assert_eq!(parse(&example().write(&StoreDir::default())), Ok(example()));
}

#[test]
fn what_may_be_missing_has_a_meaning() {
    let info = parse(&minimal()).expect("is complete");
    assert_eq!(info.compression, "bzip2");
    assert!(info.references.is_empty() && info.deriver.is_none() && info.ca.is_none());
    let more = format!(
        "{}Compression: \nDeriver: unknown-deriver\nReferences: \nSystem: x86_64-linux\nCA: \n",
        minimal()
    );
    assert_eq!(parse(&more), Ok(info));
}

#[test]
fn wrong_fields_are_named() {
    let replaced = |from: &str, to: &str| parse(&minimal().replace(from, to));
    assert_eq!(parse(""), Err(NarInfoError::Missing("StorePath")));
    assert_eq!(replaced("URL: x", "X: x"), Err(NarInfoError::Missing("URL")));
    assert_eq!(replaced("URL: x", "URL: "), Err(NarInfoError::Missing("URL")));
    assert_eq!(replaced("NarHash", "X"), Err(NarInfoError::Missing("NarHash")));
    assert_eq!(replaced("NarSize", "X"), Err(NarInfoError::Missing("NarSize")));
    assert_eq!(replaced("URL: x", "URL"), Err(NarInfoError::NoColon { line: 2 }));
    assert_eq!(parse(minimal().trim_end()), Err(NarInfoError::OpenLine));
    for size in ["0", "-1", "+1", "1 ", "", "18446744073709551616", "x"] {
        let error = replaced("176", size).expect_err("is no size");
        assert_eq!(error, NarInfoError::Size { field: "NarSize", text: size.into() });
    }
    for (from, to) in [("sha256:", "sha1:"), ("sha256:", ""), ("sha256:0400g", "sha256:e400g")] {
        assert!(
            matches!(replaced(from, to), Err(NarInfoError::Hash { field: "NarHash", .. })),
            "{to}"
        );
    }
    let sha1 = "sha256:0400g7b10vr4s9sjr2900dv76vycxqpsaxwl2hgwhadrlxcf8vmn";
    let other = "sha1:143xibwh31h9bvxzalr0sjvbbvpa6ffs";
    assert!(matches!(replaced(sha1, other), Err(NarInfoError::Hash { .. })));
    assert!(matches!(
        replaced("/nix/store/", "/gnu/store/"),
        Err(NarInfoError::Path { field: "StorePath", .. })
    ));
    let with = |line: &str| parse(&format!("{}{line}\n", minimal()));
    for (line, field) in [
        ("URL: y", "URL"),
        ("StorePath: /nix/store/3cmrvzmwi8kl03zzg5i25crdy3pjz95w-ref.txt", "StorePath"),
        ("NarSize: 176", "NarSize"),
        ("CA: text:sha256:18gh8j233979r0blaz24aikbwrjgj32sxpdzsydrk89lmg8q5107", "CA"),
        ("References: ", "References"),
    ] {
        let twice = parse(&format!("{}{line}\n{line}\n", minimal()));
        assert_eq!(twice, Err(NarInfoError::Twice(field)), "{line}");
    }
    assert!(matches!(with("References: a b"), Err(NarInfoError::Path { .. })));
    assert!(matches!(with("Deriver: a"), Err(NarInfoError::Path { .. })));
    assert!(matches!(with("CA: a"), Err(NarInfoError::ContentAddress(_))));
    assert_eq!(with("X: a\rb"), Err(NarInfoError::Bytes));
    assert_eq!(with("X: a\0b"), Err(NarInfoError::Bytes));
    assert_eq!(NarInfo::parse(&StoreDir::default(), b"X: \xff\n"), Err(NarInfoError::Bytes));
}

#[test]
fn limits_hold() {
    let signatures = "Sig: a:b\n".repeat(64);
    assert!(parse(&format!("{}{signatures}", minimal())).is_ok());
    assert_eq!(
        parse(&format!("{}{signatures}Sig: a:b\n", minimal())),
        Err(NarInfoError::Many { field: "Sig", max: 64 })
    );
    assert_eq!(
        parse(&format!("{}X: {}\n", minimal(), "x".repeat(1 << 20))),
        Err(NarInfoError::Long(minimal().len() + (1 << 20) + 4))
    );
    assert_eq!(
        read_references(&format!("{HELLO} ").repeat(100_001)),
        Err(NarInfoError::Many { field: "References", max: 100_000 })
    );
}

proptest! {
    #[test]
    fn infos_come_back(
        url in "[a-z:/?= ]{1,20}[a-z]",
        compression in "[a-z]{1,8}",
        file_size: Option<u64>,
        nar_size in 1u64..,
        n_references in 0..3usize,
        ca: bool,
        signatures in prop::collection::vec("[a-z]{1,5}:[A-Za-z0-9+/=]{1,20}", 0..4),
    ) {
        let whole = example();
        let url = url.trim_start().to_owned();
        let info = NarInfo {
            url,
            compression,
            file_size,
            file_hash: file_size.map(|n| Hash::of(HashAlgo::Sha256, n.to_string())),
            nar_size,
            references: [path(HELLO), path(REF)].into_iter().take(n_references).collect(),
            deriver: whole.deriver.clone().filter(|_| ca),
            ca: whole.ca.filter(|_| !ca),
            signatures,
            ..whole
        };
        let dir = StoreDir::default();
        prop_assert_eq!(NarInfo::parse(&dir, info.write(&dir).as_bytes()), Ok(info));
    }

    #[test]
    fn no_text_breaks_the_reader(at: prop::sample::Index, byte: u8) {
        let dir = StoreDir::default();
        let mut text = example().write(&dir).into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        if let Ok(info) = NarInfo::parse(&dir, &text) {
            prop_assert_eq!(NarInfo::parse(&dir, info.write(&dir).as_bytes()), Ok(info));
        }
    }
}

//! `copyToRoot`: several trees of the store laid over each other.
//!
//! Links to files are kept. A link to a directory becomes the directory, unless
//! `keepContentsDirlinks` is set; then the link stays, and a later item's directory of the same
//! name is merged through it.

use super::store_mode;
use super::tree::{Directory, File, Node, odd_file, read_link, sorted_names};
use crate::error::Error;
use crate::store_files::StoreFiles;
use std::fs;

/// Files that a runtime opens before the program starts.
///
/// containerd from 2.2 on refuses a link out of the root there, and such a link is what a package
/// tree usually has.
const IDENTITY_FILES: [&str; 7] =
    ["group", "gshadow", "hosts", "nsswitch.conf", "passwd", "resolv.conf", "shadow"];

/// What happens to links to directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryLinks {
    /// They become directories with the contents of their target.
    Copy,
    /// They stay links.
    Keep,
}

/// Lays an item over a tree; `item` is a logical path in the store.
///
/// # Errors
/// [`Error::Contents`] when the item is no directory, or a file would replace a directory.
pub fn add_item(
    root: &mut Directory,
    item: &str,
    links: DirectoryLinks,
    store: &StoreFiles,
) -> Result<(), Error> {
    let missing = || Error::Contents(format!("copyToRoot: {item} is not in the store"));
    let start = store.resolve(item.as_bytes()).ok_or_else(missing)?;
    let real = store.real(&start).ok_or_else(missing)?;
    if !real.is_dir() {
        return Err(Error::Contents(format!(
            "copyToRoot: {item} is a file, but its items are directories whose contents come to \
             the root; put the file into one, for example with buildEnv or runCommand"
        )));
    }
    let mut joiner = Joiner { item, links, store, walking: vec![start.clone()] };
    joiner.merge(root, &start, &mut Vec::new())
}

struct Joiner<'a> {
    item: &'a str,
    links: DirectoryLinks,
    store: &'a StoreFiles,
    /// The resolved directories that contain what is walked now: a link to one is a cycle.
    walking: Vec<Vec<u8>>,
}

impl Joiner<'_> {
    /// Lays the directory `source` (resolved, logical) over `target`, which lies at `place`.
    fn merge(
        &mut self,
        target: &mut Directory,
        source: &[u8],
        place: &mut Vec<Vec<u8>>,
    ) -> Result<(), Error> {
        let real = self.store.real(source).expect("resolved paths lie in the store");
        for name in sorted_names(&real)? {
            let child = [source, b"/", &name].concat();
            let child_real = self.store.real(&child).expect("children lie in the store");
            let metadata =
                fs::symlink_metadata(&child_real).map_err(Error::io("read", &child_real))?;
            let mode = store_mode(&metadata);
            place.push(name.clone());
            if metadata.is_dir() {
                self.enter(target, &name, &child, mode, place)?;
            } else if metadata.is_symlink() {
                self.add_link(target, &name, &child, place)?;
            } else if metadata.is_file() {
                let file = File { mode, size: metadata.len(), path: child_real };
                self.replace(target, &name, Node::File(file), place)?;
            } else {
                return Err(odd_file(&child_real, metadata.file_type()));
            }
            place.pop();
        }
        Ok(())
    }

    /// Lays a directory over whatever has its name.
    fn enter(
        &mut self,
        target: &mut Directory,
        name: &[u8],
        source: &[u8],
        mode: u32,
        place: &mut Vec<Vec<u8>>,
    ) -> Result<(), Error> {
        let kept_link = match target.children.get(name) {
            Some(Node::Symlink(link)) if self.links == DirectoryLinks::Keep => Some(link.clone()),
            _ => None,
        };
        if let Some(link) = kept_link {
            return self.merge_through(target, name, &link, source, mode, place);
        }
        if !matches!(target.children.get(name), Some(Node::Directory(_))) {
            target.children.insert(name.to_vec(), Node::Directory(Directory::new(mode)));
        }
        if let Some(Node::Directory(directory)) = target.children.get_mut(name) {
            directory.mode = mode;
            self.walking.push(source.to_vec());
            self.merge(directory, source, place)?;
            self.walking.pop();
        }
        Ok(())
    }

    /// A directory meets a kept link: its contents go where the link leads.
    fn merge_through(
        &mut self,
        parent: &mut Directory,
        name: &[u8],
        link: &[u8],
        source: &[u8],
        mode: u32,
        place: &mut Vec<Vec<u8>>,
    ) -> Result<(), Error> {
        // A link to a sibling (`lib64 -> lib`) leads to a directory of the same tree.
        let sibling = link.strip_suffix(b"/").unwrap_or(link);
        if !sibling.contains(&b'/')
            && matches!(parent.children.get(sibling), Some(Node::Directory(_)))
        {
            place.pop();
            place.push(sibling.to_vec());
            return self.enter(parent, sibling, source, mode, place);
        }
        // A link into the store leads to what cannot be changed, so the target is copied first.
        let mut directory = Directory::new(mode);
        if let Some(start) = self.store.resolve(link)
            && self.store.real(&start).is_some_and(|real| real.is_dir())
        {
            self.walking.push(start.clone());
            self.merge(&mut directory, &start, place)?;
            self.walking.pop();
        } else if !link.starts_with(b"/") {
            return Err(Error::Contents(format!(
                "copyToRoot: {} has the directory /{}, where an earlier item has a link to {}; \
                 contents are merged through links to siblings and into the store only",
                self.item,
                shown(place),
                String::from_utf8_lossy(link)
            )));
        }
        parent.children.insert(name.to_vec(), Node::Directory(directory));
        self.enter(parent, name, source, mode, place)
    }

    fn add_link(
        &mut self,
        target: &mut Directory,
        name: &[u8],
        source: &[u8],
        place: &mut Vec<Vec<u8>>,
    ) -> Result<(), Error> {
        let real = self.store.real(source).expect("links of an item lie in the store");
        let leads_to = self
            .store
            .resolve(source)
            .filter(|resolved| self.store.real(resolved).is_some_and(|real| real.is_dir()));
        let meets_directory = matches!(target.children.get(name), Some(Node::Directory(_)));
        if let Some(directory) = leads_to
            && (self.links == DirectoryLinks::Copy || meets_directory)
            && !self.walking.contains(&directory)
        {
            let real = self.store.real(&directory).expect("resolved paths lie in the store");
            let metadata = fs::metadata(&real).map_err(Error::io("read", &real))?;
            let mode = store_mode(&metadata);
            return self.enter(target, name, &directory, mode, place);
        }
        self.replace(target, name, Node::Symlink(read_link(&real)?), place)
    }

    fn replace(
        &self,
        target: &mut Directory,
        name: &[u8],
        node: Node,
        place: &[Vec<u8>],
    ) -> Result<(), Error> {
        if let Some(Node::Directory(_)) = target.children.get(name) {
            return Err(Error::Contents(format!(
                "copyToRoot: {} has a file or link at /{}, where an earlier item has a directory",
                self.item,
                shown(place)
            )));
        }
        target.children.insert(name.to_vec(), node);
        Ok(())
    }
}

fn shown(place: &[Vec<u8>]) -> String {
    String::from_utf8_lossy(&place.join(&b'/')).into_owned()
}

/// Lays an item over a tree as links: directories are made, everything else is a link to the
/// item's file by its absolute store path. What is there already stays.
///
/// # Errors
/// [`Error::Contents`] when the item is no directory.
pub fn add_links(root: &mut Directory, item: &str, store: &StoreFiles) -> Result<(), Error> {
    let start = store.resolve(item.as_bytes());
    let real = start.as_ref().and_then(|start| store.real(start));
    match (start, real) {
        (Some(start), Some(real)) if real.is_dir() => {
            link_below(root, &start, item.as_bytes(), store, &mut vec![start.clone()])
        }
        _ => Err(Error::Contents(format!(
            "contents: {item} is not a directory of the store; an item is a directory whose files \
             are linked to from the root"
        ))),
    }
}

/// Links to the files of `source` (resolved), which `shown` leads to.
fn link_below(
    target: &mut Directory,
    source: &[u8],
    shown: &[u8],
    store: &StoreFiles,
    walking: &mut Vec<Vec<u8>>,
) -> Result<(), Error> {
    let real = store.real(source).expect("resolved paths lie in the store");
    for name in sorted_names(&real)? {
        let child = [source, b"/", &name].concat();
        let link = [shown, b"/", &name].concat();
        // A link to a directory counts as one, so that another item's directory can join it.
        let resolved = store.resolve(&child).filter(|path| !walking.contains(path));
        let directory = resolved.filter(|path| store.real(path).is_some_and(|real| real.is_dir()));
        match directory {
            None => {
                target.children.entry(name).or_insert(Node::Symlink(link));
            }
            Some(directory) => {
                // A file of an earlier item wins over a directory of a later one.
                if let Some(below) = target.directory_at(&name, || Directory::new(0o755)) {
                    walking.push(directory.clone());
                    link_below(below, &directory, &link, store, walking)?;
                    walking.pop();
                }
            }
        }
    }
    Ok(())
}

/// Turns links out of the root at the places of identity files into what they lead to.
///
/// # Errors
/// [`Error::Io`] names a target that cannot be read.
pub fn materialise_identity_files(root: &mut Directory, store: &StoreFiles) -> Result<(), Error> {
    let Some(Node::Directory(etc)) = root.children.get_mut(&b"etc"[..]) else { return Ok(()) };
    for name in IDENTITY_FILES {
        let Some(Node::Symlink(target)) = etc.children.get(name.as_bytes()) else { continue };
        if !target.starts_with(b"/") {
            continue;
        }
        let node = match store.resolve(target).and_then(|path| store.real(&path)) {
            Some(path) => {
                let metadata = fs::metadata(&path).map_err(Error::io("read", &path))?;
                if !metadata.is_file() {
                    continue;
                }
                let mode = store_mode(&metadata);
                Node::File(File { mode, size: metadata.len(), path })
            }
            None => Node::Symlink([b"..", &target[..]].concat()),
        };
        etc.children.insert(name.as_bytes().to_vec(), node);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{Owners, pack};
    use crate::testing::{Listing, StoreFixture};
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(store: &StoreFixture, items: &[&str], links: DirectoryLinks, expected: Expect) {
        let mut root = Directory::new(0o755);
        let joined = items
            .iter()
            .try_for_each(|item| add_item(&mut root, &store.logical(item), links, store.files()))
            .and_then(|()| materialise_identity_files(&mut root, store.files()));
        let shown = match joined {
            Ok(()) => {
                let tar = pack(&root, &Owners::default(), 1, store.files(), Vec::new()).unwrap();
                Listing::of(&tar).to_string()
            }
            Err(error) => format!("error: {}\n", error.full_text().replace(&store.logical(""), "")),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn links_to_directories_become_directories_and_links_to_files_stay() {
        let store = StoreFixture::new();
        store.add("a/share/doc", "text");
        store.link("env/share", &store.logical("a/share"));
        store.link("env/doc", &store.logical("a/share/doc"));
        store.link("env/dangling", "nowhere");
        store.link("env/here", ".");
        check(
            &store,
            &["env"],
            DirectoryLinks::Copy,
            expect![[r#"
                l0777 0:0 0 dangling -> nowhere
                l0777 0:0 0 doc -> /nix/store/a/share/doc
                l0777 0:0 0 here -> .
                d0555 0:0 0 share/
                -0444 0:0 4 share/doc
            "#]],
        );
        check(
            &store,
            &["env"],
            DirectoryLinks::Keep,
            expect![[r#"
            l0777 0:0 0 dangling -> nowhere
            l0777 0:0 0 doc -> /nix/store/a/share/doc
            l0777 0:0 0 here -> .
            l0777 0:0 0 share -> /nix/store/a/share
        "#]],
        );
    }

    #[test]
    fn later_items_win_but_a_file_does_not_replace_a_directory() {
        let store = StoreFixture::new();
        store.add("a/bin/tool", "one");
        store.add("b/bin/tool", "three");
        store.add("b/bin/other", "");
        store.add("c/bin", "");
        store.link("d/bin/tool", "other");
        check(
            &store,
            &["a", "b", "d"],
            DirectoryLinks::Copy,
            expect![[r#"
                d0555 0:0 0 bin/
                -0444 0:0 0 bin/other
                l0777 0:0 0 bin/tool -> other
            "#]],
        );
        check(
            &store,
            &["a", "c"],
            DirectoryLinks::Copy,
            expect![[r#"
            error: copyToRoot: c has a file or link at /bin, where an earlier item has a directory
        "#]],
        );
        check(
            &store,
            &["c", "a"],
            DirectoryLinks::Copy,
            expect![[r#"
                d0555 0:0 0 bin/
                -0444 0:0 3 bin/tool
            "#]],
        );
    }

    #[test]
    fn a_directory_is_merged_through_a_kept_link() {
        let store = StoreFixture::new();
        store.add("a/lib/one", "");
        store.link("a/lib64", "lib");
        store.link("a/share", &store.logical("b/shared"));
        store.add("b/shared/two", "");
        store.add("c/lib64/three", "");
        store.add("c/share/four", "");
        check(
            &store,
            &["a", "c"],
            DirectoryLinks::Keep,
            expect![[r#"
                d0555 0:0 0 lib/
                -0444 0:0 0 lib/one
                -0444 0:0 0 lib/three
                l0777 0:0 0 lib64 -> lib
                d0555 0:0 0 share/
                -0444 0:0 0 share/four
                -0444 0:0 0 share/two
            "#]],
        );
    }

    #[test]
    fn a_file_is_no_item() {
        let store = StoreFixture::new();
        store.add("file", "");
        check(
            &store,
            &["file"],
            DirectoryLinks::Copy,
            expect![[r#"
            error: copyToRoot: file is a file, but its items are directories whose contents come to the root; put the file into one, for example with buildEnv or runCommand
        "#]],
        );
        check(
            &store,
            &["missing"],
            DirectoryLinks::Copy,
            expect![[r#"
            error: copyToRoot: missing is not in the store
        "#]],
        );
    }

    #[test]
    fn contents_of_layered_images_are_links_and_the_first_item_wins() {
        let store = StoreFixture::new();
        store.add("a/bin/tool", "one");
        store.add("b/bin/tool", "two");
        store.add("b/bin/other", "");
        store.link("c/bin", &store.logical("b/bin"));
        store.link("c/loop", ".");
        let mut root = Directory::new(0o755);
        for item in ["a", "c"] {
            add_links(&mut root, &store.logical(item), store.files()).unwrap();
        }
        let tar = pack(&root, &Owners::default(), 1, store.files(), Vec::new()).unwrap();
        expect![[r#"
            d0755 0:0 0 bin/
            l0777 0:0 0 bin/other -> /nix/store/c/bin/other
            l0777 0:0 0 bin/tool -> /nix/store/a/bin/tool
            l0777 0:0 0 loop -> /nix/store/c/loop
        "#]]
        .assert_eq(&Listing::of(&tar).to_string());
        assert!(add_links(&mut root, &store.logical("a/bin/tool"), store.files()).is_err());
    }

    #[test]
    fn identity_files_are_never_links_out_of_the_root() {
        let store = StoreFixture::new();
        store.add("nss/passwd", "root:x:0:0::/:/bin/sh\n");
        store.link("env/etc/passwd", &store.logical("nss/passwd"));
        store.link("env/etc/hosts", "/run/hosts");
        store.link("env/etc/group", "passwd");
        store.link("env/etc/other", &store.logical("nss/passwd"));
        check(
            &store,
            &["env"],
            DirectoryLinks::Copy,
            expect![[r#"
                d0555 0:0 0 etc/
                l0777 0:0 0 etc/group -> passwd
                l0777 0:0 0 etc/hosts -> ../run/hosts
                l0777 0:0 0 etc/other -> /nix/store/nss/passwd
                -0444 0:0 22 etc/passwd
            "#]],
        );
    }
}

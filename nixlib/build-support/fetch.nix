/**
  Fetchers: fixed outputs, named by the hash that they must have.

  Type: { lib, system, pkgs } -> attrs
*/
{ lib, system, pkgs }:

let
  /* `hash`, `sha256`, `sha512` or `sha1` as the pair that a derivation wants. */
  outputHash =
    args:
    if args ? hash && args.hash != "" then
      { outputHash = args.hash; outputHashAlgo = null; }
    else if args ? sha512 && args.sha512 != "" then
      { outputHash = args.sha512; outputHashAlgo = "sha512"; }
    else if args ? sha256 && args.sha256 != "" then
      { outputHash = args.sha256; outputHashAlgo = "sha256"; }
    else if args ? sha1 && args.sha1 != "" then
      { outputHash = args.sha1; outputHashAlgo = "sha1"; }
    else
      { outputHash = lib.fakeHash; outputHashAlgo = null; };
in
rec {
  /**
    A file from a URL. `urls` are alternatives; the first is used by the built-in fetcher.

    Type: fetchurl :: { url | urls, hash | sha256 | …, name ? string, executable ? bool } -> derivation
    Example: fetchurl { url = "https://example.org/x.tar.gz"; hash = lib.fakeHash; }
  */
  fetchurl = lib.makeOverridable (
    {
      url ? lib.head urls,
      urls ? [ ],
      name ? null,
      executable ? false,
      postFetch ? "",
      recursiveHash ? false,
      meta ? { },
      passthru ? { },
      ...
    }@args:
    let
      hash = outputHash args;
      drv = derivation {
        name = if name != null && name != "" then name else baseNameOf (toString url);
        builder = "builtin:fetchurl";
        system = "builtin";
        inherit url executable;
        urls = [ url ] ++ urls;
        unpack = false;
        outputHashMode = if executable || recursiveHash then "recursive" else "flat";
        inherit (hash) outputHash;
        ${if hash.outputHashAlgo == null then null else "outputHashAlgo"} = hash.outputHashAlgo;
        preferLocalBuild = true;
        impureEnvVars = lib.fetchers.proxyImpureEnvVars;
      };
    in
    drv // { inherit meta url; passthru = passthru; } // passthru
  );

  /**
    An unpacked archive from a URL; the hash is that of the tree.

    Type: fetchzip :: { url, hash | sha256, name ? "source", stripRoot ? true } -> derivation
  */
  fetchzip =
    {
      url,
      name ? "source",
      stripRoot ? true,
      ...
    }@args:
    let
      hash = outputHash args;
    in
    if stripRoot then
      {
        outPath = builtins.fetchTarball {
          inherit url name;
          sha256 = hash.outputHash;
        };
        inherit name url;
      }
    else
      throw "fetchzip: nixlib can only strip the root directory; use fetchurl and unpack by yourself";

  fetchTarball = builtins.fetchTarball;

  /**
    A commit of a git repository.

    Type: fetchgit :: { url, rev, hash ? string, name ? "source" } -> attrs
  */
  fetchgit =
    {
      url,
      rev,
      name ? "source",
      fetchSubmodules ? false,
      ...
    }:
    builtins.fetchGit {
      inherit url rev name;
      submodules = fetchSubmodules;
    };

  /**
    A source archive from GitHub.

    Type: fetchFromGitHub :: { owner, repo, rev | tag, hash | sha256, name ? "source" } -> attrs
  */
  fetchFromGitHub =
    {
      owner,
      repo,
      rev ? "refs/tags/${tag}",
      tag ? null,
      name ? "source",
      githubBase ? "github.com",
      ...
    }@args:
    fetchzip (
      {
        inherit name;
        url = "https://${githubBase}/${owner}/${repo}/archive/${rev}.tar.gz";
      }
      // lib.filterAttrs (field: _: lib.elem field [ "hash" "sha256" ]) args
    )
    // {
      inherit owner repo rev;
    };

  fetchFromGitLab =
    {
      owner,
      repo,
      rev,
      name ? "source",
      domain ? "gitlab.com",
      ...
    }@args:
    fetchzip (
      {
        inherit name;
        url = "https://${domain}/api/v4/projects/${owner}%2F${repo}/repository/archive.tar.gz?sha=${rev}";
      }
      // lib.filterAttrs (field: _: lib.elem field [ "hash" "sha256" ]) args
    );
}

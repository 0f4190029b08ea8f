/** Licences, for `meta.license`. */
let
  make =
    shortName: spdxId: fullName:
    {
      inherit shortName fullName;
      free = shortName != "unfree";
      redistributable = shortName != "unfree";
      deprecated = false;
    }
    // (if spdxId == null then { } else { inherit spdxId; url = "https://spdx.org/licenses/${spdxId}.html"; });
in
rec {
  agpl3Only = make "agpl3Only" "AGPL-3.0-only" "GNU Affero General Public License v3.0 only";
  agpl3Plus = make "agpl3Plus" "AGPL-3.0-or-later" "GNU Affero General Public License v3.0 or later";
  asl20 = make "asl20" "Apache-2.0" "Apache License 2.0";
  artistic2 = make "artistic2" "Artistic-2.0" "Artistic License 2.0";
  boost = make "boost" "BSL-1.0" "Boost Software License 1.0";
  bsd0 = make "bsd0" "0BSD" "BSD Zero Clause License";
  bsd2 = make "bsd2" "BSD-2-Clause" "BSD 2-clause \"Simplified\" License";
  bsd3 = make "bsd3" "BSD-3-Clause" "BSD 3-clause \"New\" or \"Revised\" License";
  cc0 = make "cc0" "CC0-1.0" "Creative Commons Zero v1.0 Universal";
  cc-by-40 = make "cc-by-40" "CC-BY-4.0" "Creative Commons Attribution 4.0";
  cc-by-sa-40 = make "cc-by-sa-40" "CC-BY-SA-4.0" "Creative Commons Attribution Share Alike 4.0";
  curl = make "curl" "curl" "curl License";
  epl20 = make "epl20" "EPL-2.0" "Eclipse Public License 2.0";
  eupl12 = make "eupl12" "EUPL-1.2" "European Union Public License 1.2";
  free = make "free" null "Unspecified free software license";
  gpl2Only = make "gpl2Only" "GPL-2.0-only" "GNU General Public License v2.0 only";
  gpl2Plus = make "gpl2Plus" "GPL-2.0-or-later" "GNU General Public License v2.0 or later";
  gpl3Only = make "gpl3Only" "GPL-3.0-only" "GNU General Public License v3.0 only";
  gpl3Plus = make "gpl3Plus" "GPL-3.0-or-later" "GNU General Public License v3.0 or later";
  isc = make "isc" "ISC" "Internet Systems Consortium License";
  lgpl21Only = make "lgpl21Only" "LGPL-2.1-only" "GNU Lesser General Public License v2.1 only";
  lgpl21Plus = make "lgpl21Plus" "LGPL-2.1-or-later" "GNU Lesser General Public License v2.1 or later";
  lgpl3Only = make "lgpl3Only" "LGPL-3.0-only" "GNU Lesser General Public License v3.0 only";
  lgpl3Plus = make "lgpl3Plus" "LGPL-3.0-or-later" "GNU Lesser General Public License v3.0 or later";
  mit = make "mit" "MIT" "MIT License";
  mit0 = make "mit0" "MIT-0" "MIT No Attribution";
  mpl20 = make "mpl20" "MPL-2.0" "Mozilla Public License 2.0";
  ncsa = make "ncsa" "NCSA" "University of Illinois/NCSA Open Source License";
  ofl = make "ofl" "OFL-1.1" "SIL Open Font License 1.1";
  openssl = make "openssl" "OpenSSL" "OpenSSL License";
  postgresql = make "postgresql" "PostgreSQL" "PostgreSQL License";
  psfl = make "psfl" "Python-2.0" "Python Software Foundation License version 2";
  publicDomain = make "publicDomain" null "Public Domain";
  ruby = make "ruby" "Ruby" "Ruby License";
  unfree = make "unfree" null "Unfree";
  unlicense = make "unlicense" "Unlicense" "The Unlicense";
  vim = make "vim" "Vim" "Vim License";
  wtfpl = make "wtfpl" "WTFPL" "Do What The F*ck You Want To Public License";
  zlib = make "zlib" "Zlib" "zlib License";
  zpl21 = make "zpl21" "ZPL-2.1" "Zope Public License 2.1";
  gpl2 = gpl2Only;
  gpl3 = gpl3Only;
  lgpl21 = lgpl21Only;
  lgpl3 = lgpl3Only;
  agpl3 = agpl3Only;
  unfreeRedistributable = unfree // { shortName = "unfreeRedistributable"; redistributable = true; };
}

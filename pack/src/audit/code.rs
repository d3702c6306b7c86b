//! What an audit may find: each thing has a code that never changes its meaning.
//!
//! The letter says what it is about: `L` licenses, `N` texts and notices, `S` sources, `B` bytes, `V` vulnerabilities, `P` the policy, `D` documents,
//! `I` identity. This table is all there is to say about a code; who adds one adds a row.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

macro_rules! codes {
    ($($code:ident $title:literal $explanation:literal $way_out:literal)+) => {
        /// One kind of thing that an audit finds.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $code,)+
        }

        impl Code {
            /// Every code, ascending.
            pub const ALL: &[Self] = &[$(Self::$code),+];

            /// Returns its name, for instance `L101`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$code => stringify!($code)),+ }
            }

            /// Returns what it is, in half a sentence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$code => $title),+ }
            }

            /// Returns why that is a finding.
            #[must_use]
            pub const fn explanation(self) -> &'static str {
                match self { $(Self::$code => $explanation),+ }
            }

            /// Returns what may be done about it.
            #[must_use]
            pub const fn way_out(self) -> &'static str {
                match self { $(Self::$code => $way_out),+ }
            }
        }
    };
}

codes! {
    B101 "bytes that are not what they should be"
        "A file of an image differs from the file of its store path, a store path's contents are not those that its name is the digest of, or a layer has bytes that no writer of layers writes. The image is damaged or was changed."
        "Fetch or pack the image again. If it was changed on purpose, build what was changed from a recipe."
    B102 "bytes of unknown origin"
        "An entry of an image is of no store path, and none of the rules by which images get their generated files makes it."
        "Find out who put it there. A file that the image's specification asks for is named by `--allow`."
    B120 "bytes that nothing describes"
        "An image came with layers that no bill of materials describes. What is in them is not known, so no policy can say whether it may be shipped."
        "Ask who made the layers for a bill of materials, or build what is in them from recipes."
    D101 "a document with a license that is none"
        "A bill of materials was about to be written with an expression that SPDX does not know. Readers of the document would misread it or refuse it."
        "Correct the license in the recipe; `pith lint` names the place."
    D102 "a document that refers to what is not in it"
        "A relation or a file of a bill of materials names something that the bill does not have. Public validators do not notice this, readers lose what hangs on it."
        "Report it with the target: bills are made by this program."
    D103 "a document about no thing, or about several"
        "A bill of materials describes one thing, from which everything else is reached."
        "Report it with the target: bills are made by this program."
    D104 "a document with something that belongs to nothing"
        "A component of a bill of materials is not reached from what the bill is about."
        "Report it with the target: bills are made by this program."
    D105 "a document with one name for two things"
        "Two parts of a bill of materials have the same identifier, so what is said of one is said of both."
        "Report it with the target: bills are made by this program."
    D106 "a document that names a license without its text"
        "A `LicenseRef-` means nothing to others unless the document has the text."
        "Use a license that SPDX knows, or build the component again, so that its texts are recorded."
    I102 "a document about another image"
        "A bill of materials or a provenance lies beside an image and says that it is about another one. Somebody attached it by mistake, or on purpose."
        "Remove it from the registry, and attach those of this image by pushing it again."
    I110 "built in a weak sandbox"
        "The policy asks for a sandbox of some strength, and the object was built in a weaker one, which confines a builder less; or nobody has recorded which, as of an image of which there is its bill alone."
        "Build it again on a machine that allows the full sandbox, audit the target in place of the image, or lower `sandbox` in the policy."
    I111 "not known what built it"
        "A rule of the policy is about what builds, and nothing says what built the component or which license that has. An image does not say it; of what others have built, such as packages of Debian, nobody has."
        "Audit the target in place of the image. Say in the policy what a tool's license is, `[[clarify]]` with `component` and `expression`, or make an exception for the relation `build`."
    I120 "deprecated software"
        "The recipe says that the software should not be used any more."
        "Use what the recipe names in its place, or make an exception that ends."
    L101 "a license that is no SPDX expression"
        "What a component declares as its license cannot be read as an SPDX expression. Names that look alike, lists with commas and names that SPDX has given up can mean several things, and an audit does not choose among them."
        "Write the expression in the recipe. Where others declare it, say in the policy what it means: `[[clarify]]` with `component` and `expression`."
    L102 "no license"
        "A component declares no license. Who receives it has no right to use, change or pass it on."
        "Read the sources. If they have a license, declare it in the recipe, or say so in the policy by `[[clarify]]`; if they have none, ask who wrote it."
    L103 "the declared license does not cover what the sources say"
        "Texts in the sources are exactly those of a license that the component does not declare and that the policy would not allow. One of the two is wrong, or part of the component has another license."
        "Read the text. Correct the recipe's license, or say in the policy what the words mean: `[[clarify]]` with the `notice` that the finding shows."
    L104 "nothing was observed of the component"
        "No facts were recorded when the component was registered, so its declared license stands alone: nothing says whether the sources agree."
        "Build it with this version, or fetch its facts from a cache that has them. `missing-facts` in the policy says what such a component is."
    L105 "a license that the component does not declare"
        "Texts in the sources are exactly those of a license that the component does not declare. The policy allows it, so the answer is the same; the bill of materials is not complete."
        "Add the license to the recipe with `AND` if files under it are shipped."
    L106 "a license that only people can read"
        "The package says in prose what its license is, and nobody has read these words for this project. Nothing here reads prose, so the policy has nothing to judge."
        "Read the file that has it, and say in the policy what it means: `[[clarify]]` with its `notice` and `expression`. Of a package without such a file, have the package in the closure that its documentation links to: of `libgcc-s1` that is `gcc-12-base`."
    L110 "a license that the policy denies"
        "The policy denies the license by name or by category."
        "Leave the component out, choose another, or paste an exception into the policy: `[[exception]]` with `component` and `license`, as the finding shows them, and `reason`, `owner` and `until`."
    L111 "a license that the policy does not allow"
        "No entry of `allow` matches the license, and what is not allowed is denied."
        "Add the license or its category to `allow`, leave the component out, or make an exception."
    L112 "a license that SPDX does not know"
        "A `LicenseRef-` is a name that a document gives to a text. The policy does not say whether this one is allowed, and what is unknown is denied."
        "Read the text it stands for, then name it in `allow`, `deny` or an exception."
    L120 "a license that may not be joined in this way"
        "A rule of the policy denies the license for the relation between the two components: what is linked in statically or vendored becomes part of the work."
        "Replace it, or join it in another way: what is linked statically, dynamically. If it may stay, paste an exception into the policy: `[[exception]]` with `component`, `license` and `relation`, as the finding shows them, and `reason`, `owner` and `until`."
    L121 "a license that is joined in a way to look at"
        "A rule of the policy asks for a warning where a component with this license is used in this way."
        "Check that the licenses go together; an exception says that somebody has."
    N101 "no text of a license that has to be passed on"
        "The license asks for its text with every copy, and none was found in the sources. A canonical text has not the names of the holders, so it does not do."
        "Add the file that has the text to the sources, or choose a release that has one."
    P102 "a license that is both allowed and denied"
        "The same license stands in `allow` and in `deny`. It is denied."
        "Take it out of one of them."
    P103 "an exception that has ended"
        "The day of `until` is over. The exception counts as if it were not there."
        "Look again whether it is still right, and give it a new end; or delete it."
    P104 "an entry of `allow` that nothing needs"
        "No component has the license. A list that is longer than what is needed lets in what nobody has looked at."
        "Delete the entry, or set `unused-allow = \"allow\"` under `[lints]` for a policy that is for many projects."
    P105 "a clarification whose subject is not there"
        "A clarification says what a certain text means, and the text does not occur any more: it has changed or is gone, so nobody has read what is there now."
        "Read the text that is there now and put its digest into the clarification, or delete that."
    P106 "an exception that nothing needs"
        "No component of that name has that license in that relation, or it is allowed without."
        "Delete it."
    P107 "an exception that ends soon"
        "The day of `until` is near."
        "Look again whether it is still needed."
    P108 "an exception that ends too late"
        "The exception lasts longer than `max-exception-days` allows, counted from the day of the audit."
        "Choose a nearer day for `until`."
    P109 "a line of a policy that has no effect"
        "Several policies are joined, and one may only tighten what those before it say: a system's settings before a user's, and these before a project's. The line would loosen it."
        "Delete the line, or ask who keeps the other policy to change that: `[audit.grant]` there lets others make exceptions or clarifications."
    S101 "a file of a bundle of sources is missing"
        "The bundle names a file that is not there, so it is not the whole source."
        "Ask who gave it for a whole one, or write it again with `pith sources`."
    S102 "a file of a bundle of sources was changed"
        "A file is not the one that the bundle names by its digest, is not named at all, or the signature is not by the key."
        "Ask who gave it for the one that was signed, or write it again with `pith sources`."
    S103 "a patch of a bundle of sources is missing"
        "The bundle names a patch that is not there. What is built without it is another program."
        "Ask who gave it for a whole one, or write it again with `pith sources`."
    S104 "a bundle of sources becomes another image"
        "What was built from the bundle, with the network off, has another digest than the image that the bundle says it is of."
        "Use the version of pith that the bundle names. If the digests still differ, `pith image diff` of both says in what."
    S110 "no source for a license that asks for it"
        "The license asks that who gets the program can get its source, and none is recorded for the component."
        "Build the component from a recipe that names its sources by digest."
    V100 "a database of vulnerabilities without records"
        "Nothing that is looked for in an empty database is found. That is no answer."
        "Get the database again, and look whether the path is right."
    V101 "a database of vulnerabilities that has lost records"
        "It has less than four fifths of the records that it had before, or that `--expect` asks for. Part of it was probably not fetched."
        "Get the database again; `--expect N` states how many there should be."
    V102 "a database of vulnerabilities that is too old"
        "Its newest record is older than `--max-age` or the policy allows, or it has no date. What was found out since is not in it."
        "Get the database again."
    V103 "a database of vulnerabilities that cannot be read whole"
        "Some of its files are damaged or of another format. What they say is missing."
        "Get the database again."
    V104 "components that no database speaks of"
        "Components come from a register of which no database has a single record, so nothing could have been found."
        "Add a database of that register, or state by `--not-covered` that it is done without."
    V105 "a version that cannot be compared"
        "A record is about the component, and whether about this version cannot be told."
        "Give the component a version that its register would accept, or state what is so in the policy."
    V106 "a part of an image that nobody has described"
        "An image has layers without a bill of materials: what is in them was not looked for."
        "Ask who made the layers for a bill of materials, and check that too."
    V110 "a vulnerability that is denied"
        "A record says that this version of the component has it, nothing says that it was mended, and the policy does not let it pass."
        "Use a version in which it is fixed, apply a patch whose header names it, or state in the policy why it does no harm."
    V111 "a clue of a vulnerability"
        "Only a name or a commit speaks for it. It decides nothing."
        "Look at the record; state a CPE name or a package URL in the recipe to be told surely."
    V112 "a statement on a vulnerability that has ended"
        "The policy lets it pass until a day that is over."
        "Look at it again, and give another day or mend it."
    V113 "a statement on a vulnerability that nothing needs"
        "The policy speaks of a vulnerability that is not found in any component."
        "Delete it."
    V114 "a component without a name that databases know"
        "It states no package URL, CPE name or repository, so nothing could have been found."
        "State one in the recipe."
}

impl Code {
    /// Returns the bit that stands for what the code is about, where an answer is one number: licenses 1, what is not known 2, bytes 4, vulnerabilities 8,
    /// sources and texts 16, the policy itself 32, documents and identity 64.
    #[must_use]
    pub fn bit(self) -> u8 {
        match self {
            Self::L102 | Self::L104 | Self::L106 | Self::L112 => 2,
            other => match other.as_str().as_bytes().first() {
                Some(b'L') => 1,
                Some(b'B') => 4,
                Some(b'V') => 8,
                Some(b'S' | b'N') => 16,
                Some(b'P') => 32,
                _ => 64,
            },
        }
    }
}

/// A text is no code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no finding `{0}`")]
pub struct UnknownCode(pub String);

impl FromStr for Code {
    type Err = UnknownCode;

    /// Reads a code, in any case.
    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        let found = Self::ALL
            .iter()
            .find(|code| code.as_str().eq_ignore_ascii_case(text));
        found.copied().ok_or_else(|| UnknownCode(text.to_owned()))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_can_be_read_again() {
        assert!(Code::ALL.is_sorted_by_key(|code| code.as_str()));
        for code in Code::ALL {
            assert_eq!(code.as_str().to_lowercase().parse(), Ok(*code));
        }
        assert_eq!("L1".parse::<Code>(), Err(UnknownCode("L1".to_owned())));
    }

    #[test]
    fn the_codes_of_vulnerabilities_are_in_the_table() {
        let known: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        for code in crate::vulns::ProblemCode::ALL {
            assert!(known.contains(&code.to_string().as_str()), "{code}");
        }
    }

    #[test]
    fn every_code_is_explained_in_sentences() {
        for code in Code::ALL {
            assert!(!code.title().ends_with('.'), "{code}");
            assert!(
                code.explanation().ends_with('.') && code.way_out().ends_with('.'),
                "{code}"
            );
        }
    }
}

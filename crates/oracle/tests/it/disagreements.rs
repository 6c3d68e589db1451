//! Every disagreement with the official Rust verifier, and why it is right as it is here. What is
//! not in these tables fails the test.

/// Why two verifiers may differ about what both were given.
pub(crate) struct Disagreement {
    /// Part of the case's name, or of what the one that refuses says.
    pub(crate) says: &'static str,
    /// What the names of the cases contain that it is about; nothing for any case. What two verifiers say
    /// of a signature is the same whichever of them is wrong, so those rows name their cases.
    pub(crate) cases: &'static [&'static str],
    /// Why.
    pub(crate) because: &'static str,
    /// Whether every run meets it: where a flipped bit falls depends on the signature's bytes, and
    /// ECDSA signs anew each time.
    pub(crate) always: bool,
}

const fn because(says: &'static str, because: &'static str) -> Disagreement {
    Disagreement { says, cases: &[], because, always: true }
}

const fn in_cases(
    says: &'static str,
    cases: &'static [&'static str],
    because: &'static str,
) -> Disagreement {
    Disagreement { says, cases, because, always: true }
}

const fn sometimes(says: &'static str, because: &'static str) -> Disagreement {
    Disagreement { says, cases: &[], because, always: false }
}

/// We accept, they refuse: matched against their words, and the case's name. Each is a format that
/// they do not read, or a rule of theirs that the specifications do not have; in none of them is
/// anything believed that was not proven.
pub(crate) const WE_ACCEPT: &[Disagreement] = &[
    in_cases(
        "unsupported or invalid EC curve",
        &["ECDSA P-521, keyless", "ECDSA P-521, pinned"],
        "P-521 is in Sigstore's registry of algorithms; they do not read it",
    ),
    in_cases(
        "SHA-256 hash must be 32 bytes",
        &["ECDSA P-384, keyless", "ECDSA P-384, pinned", "a v1 hashedrekord of another hash"],
        "a hashedrekord of SHA-384 or SHA-512 is what P-384, P-521 and Ed25519ph keys log; they \
         read SHA-256 only",
    ),
    because(
        "expected `PKIX_ECDSA_P256_SHA_256`",
        "a v2 log takes every algorithm of the registry; they read P-256 only",
    ),
    in_cases(
        "ED25519 signature invalid",
        &["Ed25519, keyless", "Ed25519, pinned"],
        "what a log sees as a hash only is signed with Ed25519ph; they verify pure Ed25519 only",
    ),
    in_cases(
        "RSA_PKCS1_SHA256 signature invalid",
        &[
            "a v2 entry of RSA-PSS, 2048 bits",
            "a v2 entry of RSA-PSS, 2048 bits, pinned",
            "a v2 entry of RSA-PSS, 3072 bits",
            "a v2 entry of RSA-PSS, 3072 bits, pinned",
            "a v2 entry of RSA-PSS, 4096 bits",
            "a v2 entry of RSA-PSS, 4096 bits, pinned",
        ],
        "the registry has RSA-PSS too, and a v2 entry states which; they verify PKCS#1 only",
    ),
    because(
        "unsupported Rekor entry format: dsse/0.0.2",
        "v2 logs took such entries until June 2026; they never read them",
    ),
    because(
        "inclusion proof has no checkpoint",
        "v0.1 rests on the promise; a proof without a checkpoint beside it must hold, and is then \
         ignored, because nobody signed its root",
    ),
    in_cases(
        "CMS signer does not match any trusted TSA certificate",
        &[
            "strangers' certificates in the token",
            "the signing certificate comes along and is not pinned",
            "timestamps of strangers beside a right one",
            "/signedTimestamp flipped at",
        ],
        "a timestamp of a stranger proves nothing either way and is passed over: what remains must \
         suffice. And where the trust root holds the issuing authority only, the certificate may \
         come along (RFC 3161), and is then checked against that authority",
    ),
    sometimes(
        "failed to decode SignedData",
        "RFC 5652 §5.1: the token's list of digest algorithms is signed by nobody, and each signer \
         repeats its own, which is the one that counts; or the token points at a stranger's \
         certificate, see above",
    ),
    because(
        "Failed to verify timestamp signature: not an EC key",
        "RFC 3161 does not bind a timestamp authority to ECDSA",
    ),
    because(
        "certificate contains multiple SCTs",
        "RFC 6962 allows several; each of a known log must hold, and one at least there must be",
    ),
    because(
        "a user name: identity mismatch",
        "Fulcio's otherName is a name too; they read e-mail addresses and URIs only",
    ),
    because("expected a sequence at line", "protobuf's JSON reads null as absent"),
    because("expected a string at line", "protobuf's JSON reads null as absent"),
    because("expected struct WireCheckpointData", "protobuf's JSON reads null as absent"),
    because("expected a protobuf int64", "protobuf's JSON reads null as absent"),
    because(
        "missing field `signedEntryTimestamp`",
        "protobuf's JSON leaves an empty field out: a promise of no bytes is no promise, and where \
         nothing rests on one, it may be missing",
    ),
    because(
        "signedEntryTimestamp empty: invalid inclusion promise",
        "a promise of no bytes is no promise, and where nothing rests on one, it may be missing",
    ),
    because(
        "/verificationMaterial/tlogEntries/0/logIndex",
        "they prove a v2 leaf at the index beside the proof, we at the index in it; the other one \
         is nobody's word here, and what we report is the proven one",
    ),
];

/// They accept, we refuse: matched against the case's name and our refusal.
pub(crate) const THEY_ACCEPT: &[Disagreement] = &[
    because(
        "CertificateTimestampInFuture",
        "RFC 6962 §5.2: a promise from after the certificate's use is none",
    ),
    because("RootInChain", "trust comes from the trust root only, never along with the evidence"),
    because("part: \"media type\"", "without a media type it is no bundle of any version"),
    because("TwoIssuers", "a certificate that names two issuers names none"),
    because("BadText", "an extension that is not the text it should be is not read as another"),
    because("DuplicateExtension", "RFC 5280 §4.2: an extension stands once"),
    because("BadDigest", "every digest of a leaf must be one, even those that nothing rests on"),
    sometimes("BadVerifier", "a verifier that does not decode is no verifier"),
    sometimes(
        "what: Signer",
        "the leaf's certificate must be the signer's, byte for byte; they compare less of it",
    ),
    because(
        "UnknownLog",
        "the log is named by its whole identifier; they find it by the checkpoint's hint or try \
         every key",
    ),
    because(
        "CheckpointMismatch",
        "proof and checkpoint must speak of the same size, not only of the same root",
    ),
    because(
        "BadInclusionProof",
        "the proof must hold as it stands, with its own position, size and root; they take the \
         position from beside the proof, and size and root from the checkpoint",
    ),
    because(
        "BadCheckpointSignature",
        "C2SP signed-note: a line of a known key that does not verify refuses the note",
    ),
    because("MalformedCheckpoint", "C2SP tlog-checkpoint: the size has no leading zeros"),
    because(
        "WrongOrigin",
        "a v2 log signs under its own origin; a checkpoint of another is not its",
    ),
    because(
        "MalformedTimestamp",
        "RFC 3161 §2.4.2 and RFC 5652: granted as asked, TSTInfo of version 1, one signer, no \
         critical extension that is not understood",
    ),
    because(
        "InconsistentTimestamp",
        "RFC 5652 §11 and RFC 5816: the signed attributes name the content's type, its digest, and \
         the certificate that signs",
    ),
    because(
        "TimestampAlgorithm",
        "the signature's algorithm must be one that fits key and digest (RFC 8933); they take what \
         the key implies",
    ),
    because(
        "LogKeyNotValid",
        "CVE-2026-54787: a log's key counts inside its window only, whoever says the time",
    ),
    because(
        "what: \"an authority's certificate\"",
        "CVE-2026-24122: every certificate above the signer must have been valid, not the signer's \
         alone",
    ),
    because(
        "TimestampAuthorityNotValid",
        "the same for the authorities above a timestamp's signer",
    ),
    because(
        "TimeInFuture",
        "they take the time of the machine; the story here is set in June 2026",
    ),
    because("MalformedUsage", "a key usage that does not parse allows nothing"),
    because("its key usage does not allow", "RFC 5280 §4.2.1.3: the key must be one that signs"),
    because("AmbiguousName", "Fulcio's profile: exactly one name; of two, which one is meant?"),
    because(
        "an authority's name constraints",
        "constraints of every authority bind, of the root too; what cannot be processed refuses",
    ),
    because(
        "WrongArtifact",
        "a subject that agrees in one algorithm and contradicts in another is about nothing, and \
         digests are written in lower case",
    ),
    because("UnknownType", "another version of the statement may mean another thing"),
    because("TooManySubjects", "what is read is bounded (CVE-2024-45395)"),
    because("TooManyDigests", "what is read is bounded (CVE-2024-45395)"),
];

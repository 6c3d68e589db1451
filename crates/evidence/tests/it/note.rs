//! Signed notes and checkpoints: C2SP's grammar, line by line.

use evidence::checkpoint::ParseCheckpointError;
use evidence::note::{NOTE_SIGNATURES_MAX, NOTE_SIZE_MAX, NoteSignature, ParseNoteError, key_id};
use evidence::{Checkpoint, SignedNote, TreeSize};
use testkit::Key;
use testkit::json::base64;

const LINE: &str = "\u{2014} log.example AQIDBP8=\n";

fn note(text: &str) -> Result<SignedNote, ParseNoteError> {
    SignedNote::parse(text)
}

#[test]
fn a_note_is_read_and_written_the_same() {
    let text = format!("origin\n9\nroot\n\n{LINE}\u{2014} w AQIDBAUG\n");
    let parsed = note(&text).unwrap();
    assert_eq!(parsed.text(), "origin\n9\nroot\n");
    let [own, witness] = parsed.signatures() else { panic!("two lines") };
    assert_eq!(own.name, "log.example");
    assert_eq!((own.key_hint, own.signature.as_slice()), ([1, 2, 3, 4], &[0xFF][..]));
    assert_eq!((witness.name.as_str(), witness.signature.as_slice()), ("w", &[5, 6][..]));
    assert_eq!(parsed.to_string(), text);
    let made = SignedNote::new(parsed.text().to_owned(), parsed.signatures().to_vec());
    assert_eq!(made, parsed);
}

#[test]
fn the_last_blank_line_splits() {
    let parsed = note(&format!("a\n\nb\n\n{LINE}")).unwrap();
    assert_eq!(parsed.text(), "a\n\nb\n");
}

#[test]
fn breaches_of_the_grammar_are_refused() {
    for (text, wanted) in [
        (String::new(), ParseNoteError::NoSignatures),
        ("text\n".to_owned(), ParseNoteError::NoSignatures),
        ("text\n\n".to_owned(), ParseNoteError::NoSignatures),
        (format!("text\n{LINE}"), ParseNoteError::NoSignatures),
        (format!("text\n\n{}", LINE.trim_end()), ParseNoteError::Unterminated),
        (format!("te\rxt\n\n{LINE}"), ParseNoteError::ControlCharacter),
        (format!("te\0xt\n\n{LINE}"), ParseNoteError::ControlCharacter),
        (format!("text\n\n{}\r\n", LINE.trim_end()), ParseNoteError::ControlCharacter),
    ] {
        assert_eq!(note(&text), Err(wanted), "{text:?}");
    }
    for line in [
        "log.example AQIDBP8=",
        "- log.example AQIDBP8=",
        "\u{2014}log.example AQIDBP8=",
        "\u{2014}  AQIDBP8=",
        "\u{2014} log.example",
        "\u{2014} log+example AQIDBP8=",
        "\u{2014} log\u{a0}example AQIDBP8=",
        "\u{2014} log.example not-base64",
        // Four bytes are the hint: nothing is left for a signature.
        "\u{2014} log.example AQIDBA==",
        "\u{2014} log.example AQ==",
        "\u{2014} log.example AQIDBP8= more",
    ] {
        let text = format!("text\n\n{LINE}{line}\n");
        assert_eq!(note(&text), Err(ParseNoteError::BadSignatureLine { line: 2 }), "{line}");
    }
}

#[test]
fn notes_are_bounded() {
    let lines = |count: usize| format!("text\n\n{}", LINE.repeat(count));
    assert_eq!(note(&lines(NOTE_SIGNATURES_MAX)).unwrap().signatures().len(), NOTE_SIGNATURES_MAX);
    let error = note(&lines(NOTE_SIGNATURES_MAX + 1));
    assert_eq!(error, Err(ParseNoteError::TooManySignatures));
    let end = format!("\n\n{LINE}");
    let fits = format!("{}{end}", "x".repeat(NOTE_SIZE_MAX - end.len()));
    note(&fits).unwrap();
    let found = NOTE_SIZE_MAX + 1;
    assert_eq!(note(&format!("x{fits}")), Err(ParseNoteError::TooLong { found }));
}

#[test]
fn key_identifiers_are_those_of_the_specifications() {
    for kind in [
        crypto::KeyKind::Ed25519,
        crypto::KeyKind::EcdsaP256,
        crypto::KeyKind::EcdsaP384,
        crypto::KeyKind::EcdsaP521,
    ] {
        let key = Key::named("log", kind);
        assert_eq!(key_id("log.example", key.public()), testkit::note::key_id("log.example", &key));
    }
    let rsa = Key::named("log", crypto::KeyKind::Rsa { bits: 2048 });
    let parts = [b"log.example\n\xFFPKIX-RSA-PKCS#1v1.5".as_slice(), &rsa.spki()].concat();
    assert_eq!(key_id("log.example", rsa.public()), crypto::sha256(&parts));
    // From C2SP signed-note, "Example": the key hash is the first four bytes.
    let example = NoteSignature { name: "a".into(), key_hint: [0; 4], signature: vec![1] };
    assert_eq!(example.clone(), example);
}

fn checkpoint(text: &str) -> Result<Checkpoint, ParseCheckpointError> {
    Checkpoint::parse(text)
}

#[test]
fn a_checkpoint_is_read_and_written_the_same() {
    let root = base64(&[7; 32]);
    for (extensions, lines) in [(0, ""), (2, "Timestamp: 1\nanother\n")] {
        let text = format!("log.example\n18446744073709551615\n{root}\n{lines}");
        let parsed = checkpoint(&text).unwrap();
        assert_eq!(parsed.origin, "log.example");
        assert_eq!(parsed.size, TreeSize(u64::MAX));
        assert_eq!(parsed.root, [7; 32]);
        assert_eq!(parsed.extensions.len(), extensions);
        assert_eq!(parsed.to_text(), text);
    }
    assert_eq!(checkpoint(&format!("o\n0\n{root}\n")).unwrap().size, TreeSize(0));
}

#[test]
fn a_checkpoint_has_its_three_lines() {
    let root = base64(&[7; 32]);
    let short = base64(&[7; 31]);
    for (text, wanted) in [
        (String::new(), ParseCheckpointError::MissingLines),
        ("o\n9\n".to_owned(), ParseCheckpointError::MissingLines),
        (format!("o\n9\n{root}"), ParseCheckpointError::MissingLines),
        (format!("\n9\n{root}\n"), ParseCheckpointError::EmptyOrigin),
        (format!("o\n\n{root}\n"), ParseCheckpointError::BadSize),
        (format!("o\n09\n{root}\n"), ParseCheckpointError::BadSize),
        (format!("o\n00\n{root}\n"), ParseCheckpointError::BadSize),
        (format!("o\n+9\n{root}\n"), ParseCheckpointError::BadSize),
        (format!("o\n-9\n{root}\n"), ParseCheckpointError::BadSize),
        (format!("o\n 9\n{root}\n"), ParseCheckpointError::BadSize),
        (format!("o\n18446744073709551616\n{root}\n"), ParseCheckpointError::BadSize),
        (format!("o\n9\n{short}\n"), ParseCheckpointError::BadRoot),
        ("o\n9\nnot base64\n".to_owned(), ParseCheckpointError::BadRoot),
        (format!("o\n9\n{root}\n\nx\n"), ParseCheckpointError::EmptyExtension),
    ] {
        assert_eq!(checkpoint(&text), Err(wanted), "{text:?}");
    }
}

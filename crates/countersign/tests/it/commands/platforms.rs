//! `--platform`: one image of an index, by what it is for.

use super::world::World;

#[test]
fn what_lies_beside_the_image_of_a_platform_is_downloaded_and_copied() {
    let world = World::new();
    let (index, images) = world.push_index("acme/app", "v1");
    world.write("note.json", "{}");
    let attest = "attest --type https://example.com/note --predicate note.json";
    world.run(&format!("{attest} {}", images[1])).ends(0);
    world.write("bom.json", r#"{"spdxVersion": "SPDX-2.3"}"#);
    world.run(&format!("attach sbom --sbom bom.json {}", images[1])).ends(0);
    let [amd64, arm64] = ["linux/amd64", "linux/arm64"];
    for (what, lines) in [("attestation", 1), ("sbom", 1)] {
        let download = |more: &str| world.run(&format!("download {what} {more} {index}"));
        download("").ends(10).without_result().says(&["this is an index", "--platform"]);
        let said = download(&format!("--platform {amd64}")).ends(10).without_result();
        said.says(&["there is no", "makes one"]);
        let said = download(&format!("--platform {arm64}")).ends(0);
        assert_eq!(said.stdout.trim().lines().count(), lines, "{what}");
        download("--platform windows/amd64").ends(1).says(&["no image for", amd64, arm64]);
        download("--platform linux").ends(2).says(&["linux/arm/v7"]);
        let said = world.run(&format!("download {what} --platform {arm64} {}", images[1]));
        said.ends(2).says(&["is one image", "leave --platform away"]);
    }
    let copy = index.replace("acme/app", "acme/copy");
    world.run(&format!("copy --platform {arm64} {index} {copy}")).ends(0);
    assert_eq!(world.digest(&copy), images[1].split_once('@').unwrap().1);
    let verify = format!("verify-attestation {} {copy}", world.by_release());
    world.run(&format!("{verify} --type https://example.com/note")).ends(0);
}

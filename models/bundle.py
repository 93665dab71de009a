"""A model as one signed file, for carrying it from where it was trained to where it judges.

A zip with the card, the network, a reference run and `manifest.json`, which has the SHA-256 of each, the release's data
set, opset and range of runtimes; `manifest.sig` is the maker's Ed25519 signature (RFC 8032) over the manifest's bytes.
The same files lie in the plant's folder afterwards and are checked again whenever the model is loaded.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tomllib
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO, Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.card import ModelCard, Restriction, Sha256, read_card
from models.errors import (
    BundleUnreadable,
    LicenceRefused,
    ModelAltered,
    ModelMismatch,
    SignerUnknown,
    VersionTaken,
)
from models.reference import Reference

MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig"
CARD: Final = "card.toml"
REFERENCE: Final = "reference.npz"

KEYS: Final = "trusted.toml"
OWN_KEY: Final = "signing.pem"
POLICY: Final = "policy.toml"

LARGEST_BYTES: Final = 1 << 30
"""Of all the files of a bundle together, unpacked. The largest detector in use has a quarter of it."""

MOST_FILES: Final = 20

# Two versions of onnxruntime apart, a network was never seen to answer otherwise; over the next major one nobody knows.
_RUNTIME: Final = ("1.20", "2")


class Manifest(BaseModel):
    """What is signed.

    files       name -> SHA-256 of each file but manifest and signature
    data_set    digest over all that was learnt from; None where the maker does not say
    runtime     onnxruntime from the first version on, below the second
    key         the maker's public key, hex: whether it is trusted is the plant's to say
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["lynceus-model/1"] = "lynceus-model/1"
    name: str
    version: str
    files: dict[Annotated[str, Field(pattern=r"^[\w-][\w.-]*$")], Sha256]
    data_set: Sha256 | None
    opset: int
    runtime: tuple[
        Annotated[str, Field(pattern=r"^\d+(\.\d+)*$")], Annotated[str, Field(pattern=r"^\d+(\.\d+)*$")]
    ]
    restrictions: tuple[Restriction, ...]
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class Keys:
    """The public keys a plant trusts, hex, and what it calls them; its own among them, once it has one."""

    folder: Path
    known: Mapping[str, str]

    @classmethod
    def read(cls, folder: Path) -> Keys:
        """Raises BundleUnreadable where the plant's list cannot be read."""
        file = folder / KEYS
        try:
            known = tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
            return cls(folder, {str(key).lower(): str(name) for key, name in known.items()})
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise _unreadable(str(file), str(error)) from error

    def trust(self, key: str, name: str) -> Keys:
        """With one key more, which may be written in groups. Raises BundleUnreadable for what is no key."""
        try:
            as_bytes = bytes.fromhex(key)
            Ed25519PublicKey.from_public_bytes(as_bytes)
        except ValueError as error:
            raise _unreadable(key, "no Ed25519 public key of 64 hexadecimal digits") from error
        more = Keys(self.folder, {**self.known, as_bytes.hex(): name})
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = (f"{one} = {json.dumps(called, ensure_ascii=False)}\n" for one, called in more.known.items())
        _replace(self.folder / KEYS, "".join(lines).encode())
        return more

    def check(self, manifest: Manifest) -> None:
        """Raises SignerUnknown."""
        if manifest.key not in self.known:
            raise SignerUnknown(
                f"{manifest.name} {manifest.version} is signed with the key {manifest.key}, which is not trusted here.",
                action="Ask whoever gave you the bundle for their key, by another way. If it is this one: "
                f"lynceus model trust {manifest.key} NAME.",
                model=f"{manifest.name} {manifest.version}",
                key=manifest.key,
                folder=str(self.folder),
            )


@dataclass(frozen=True, slots=True)
class Policy:
    """What a plant does not allow in a model's licence: `refuse = ["agpl", …]` in its policy.toml."""

    file: Path
    refuse: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path) -> Policy:
        """Without a file nothing is refused. Raises LicenceRefused for one that cannot be read: nobody knows then."""
        file = folder / POLICY
        if not file.exists():
            return cls(file, ())
        try:
            asked = _PolicyFile.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
            raise BundleUnreadable(
                f"The licence policy {file} cannot be read: {error}.",
                action="Write refuse = [...] with agpl, no_licence, non_commercial, research_only, share_alike.",
                file=str(file),
                wrong=str(error),
            ) from error
        return cls(file, asked.refuse)

    def check(self, card: ModelCard) -> None:
        """Raises LicenceRefused."""
        if against := [one for one in card.restrictions if one in self.refuse]:
            raise LicenceRefused(
                f"{card.name} {card.version} may not be used here: {', '.join(against)}. Its licence: {card.licence}.",
                action=f"Choose another model, or have the policy in {self.file} changed by whoever answers for it.",
                model=f"{card.name} {card.version}",
                restrictions=", ".join(against),
                licence=card.licence,
                policy=str(self.file),
            )


class _PolicyFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    refuse: tuple[Restriction, ...] = ()


def own_key(folder: Path) -> Ed25519PrivateKey:
    """The plant's key for signing bundles, made and trusted where there is none. Raises BundleUnreadable."""
    file = folder / OWN_KEY
    try:
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            pem = Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            # Made readable by its owner alone, before there is anything in it to read.
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as made:
                made.write(pem)
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise _unreadable(str(file), getattr(error, "strerror", None) or "no private key in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _unreadable(str(file), "no Ed25519 key")
    if public_hex(key) not in (keys := Keys.read(folder)).known:
        keys.trust(public_hex(key), "this plant")
    return key


def public_hex(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()


def signed(
    card_file: bytes, card: ModelCard, network: bytes, reference: Reference, key: Ed25519PrivateKey
) -> dict[str, bytes]:
    """The files of a bundle, by their names."""
    files = {CARD: card_file, card.file: network, REFERENCE: reference.to_bytes()}
    manifest = Manifest(
        name=card.name,
        version=card.version,
        files={name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        data_set=None if card.training is None else card.training.digest,
        opset=card.opset,
        runtime=_RUNTIME,
        restrictions=card.restrictions,
        key=public_hex(key),
    )
    told = json.dumps(manifest.model_dump(mode="json"), sort_keys=True, indent=1).encode()
    return {MANIFEST: told, SIGNATURE: key.sign(told), **files}


def packed(files: Mapping[str, bytes]) -> bytes:
    """A bundle as one file. The same model gives the same bytes."""
    bundle = io.BytesIO()
    with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            # Without a time of its own, so that the same model is the same file.
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return bundle.getvalue()


def zipped(source: Path | BinaryIO, *, most_files: int, most_bytes: int) -> dict[str, bytes]:
    """The files of a zip that somebody sent, by their names. ValueError says in its text why it is not taken: no zip,
    spoilt, encrypted, packed in another way than `packed` does, a name twice, too many files, or too large unpacked."""
    try:
        with zipfile.ZipFile(source) as archive:
            entries = archive.infolist()
            if len(entries) > most_files or sum(one.file_size for one in entries) > most_bytes:
                raise ValueError(f"more than {most_files} files or {most_bytes} bytes unpacked")
            if any(one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for one in entries):
                raise ValueError("it is packed in another way than ours")
            # Read to their stated sizes only: zipfile stops there, whatever is packed behind it.
            files = {one.filename: archive.read(one) for one in entries}
    # RuntimeError is what zipfile says of an encrypted file, and of one that wants a newer unzip.
    except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:
        raise ValueError(str(error) or "not a zip archive") from error
    if len(files) != len(entries):
        raise ValueError("a file is in it twice")
    return files


def unpacked(file: Path, keys: Keys) -> dict[str, bytes]:
    """The files of a bundle, by their names, after signature and digests were checked.

    Raises BundleUnreadable, SignerUnknown, ModelAltered.
    """
    try:
        files = zipped(file, most_files=MOST_FILES, most_bytes=LARGEST_BYTES)
    except ValueError as error:
        raise _unreadable(str(file), str(error)) from error
    _check(files, str(file), keys)
    return files


def check_folder(folder: Path, keys: Keys) -> Reference:
    """The reference run of an installed bundle, all of whose files were checked again. Raises as `unpacked`."""
    names = (MANIFEST, SIGNATURE)
    try:
        files = {name: (folder / name).read_bytes() for name in names}
        listed = _manifest(files, str(folder)).files
        files |= {name: (folder / name).read_bytes() for name in listed if (folder / name).exists()}
    except OSError as error:
        raise _unreadable(str(folder), f"{error.filename}: {error.strerror}") from error
    _check(files, str(folder), keys)
    return reference_of(files, str(folder))


def _check(files: Mapping[str, bytes], place: str, keys: Keys) -> None:
    manifest = _manifest(files, place)
    if {CARD, REFERENCE} - set(manifest.files) or set(files) != {MANIFEST, SIGNATURE, *manifest.files}:
        listed = ", ".join(sorted(manifest.files))
        raise _unreadable(place, f"it holds {', '.join(sorted(files))}; its manifest lists {listed}")
    keys.check(manifest)
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(manifest.key))
        key.verify(files[SIGNATURE], files[MANIFEST])
    except (InvalidSignature, ValueError) as error:
        raise _altered(manifest, MANIFEST, manifest.key, "a signature that does not fit") from error
    for name, expected in manifest.files.items():
        actual = hashlib.sha256(files[name]).hexdigest()
        if actual != expected:
            raise _altered(manifest, name, expected, actual)
    _check_runtime(manifest)


def _check_runtime(manifest: Manifest) -> None:
    import onnxruntime

    first, below = (_numbers(one) for one in manifest.runtime)
    if not first <= _numbers(onnxruntime.__version__) < below:
        wanted = f"onnxruntime from {manifest.runtime[0]}, below {manifest.runtime[1]}"
        raise ModelMismatch(
            f"{manifest.name} {manifest.version} needs {wanted}; here is {onnxruntime.__version__}.",
            action="Install an onnxruntime of that range, or release the model again for this one.",
            model=f"{manifest.name} {manifest.version}",
            wrong=f"{wanted} ≠ {onnxruntime.__version__}",
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("+")[0].split(".") if part.isdigit())


def _manifest(files: Mapping[str, bytes], place: str) -> Manifest:
    if MANIFEST not in files or SIGNATURE not in files:
        raise _unreadable(place, f"without {MANIFEST} or {SIGNATURE}")
    try:
        return Manifest.model_validate_json(files[MANIFEST])
    except ValidationError as error:
        raise _unreadable(place, f"{MANIFEST}: {error.errors()[0]['msg']}") from error


def reference_of(files: Mapping[str, bytes], place: str) -> Reference:
    """Raises BundleUnreadable."""
    try:
        return Reference.from_bytes(files[REFERENCE])
    except ValueError as error:
        raise _unreadable(place, str(error)) from error


def install(files: Mapping[str, bytes], into: Path) -> Path:
    """Lay a checked bundle into the plant's folder: whole, or not at all. The same one twice is no fault.

    Raises VersionTaken where that version is there with other bytes, ModelMismatch where its card cannot be used.
    """
    manifest = _manifest(files, str(into))
    place = into / manifest.name / manifest.version
    if place.exists():
        if all(
            (place / name).exists() and (place / name).read_bytes() == data for name, data in files.items()
        ):
            return place
        raise VersionTaken(
            f"{manifest.name} {manifest.version} is in {into} already, with other bytes.",
            action="Records may name it: give the new one another version.",
            model=f"{manifest.name} {manifest.version}",
            folder=str(into),
        )
    making = into / manifest.name / f".{manifest.version}.new"
    making.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (making / name).write_bytes(data)
    card = read_card(making / CARD)
    if (card.name, card.version) != (manifest.name, manifest.version) or card.file not in manifest.files:
        raise _unreadable(
            str(making), f"manifest of {manifest.name} {manifest.version}, card of another model"
        )
    making.rename(place)
    return place


def _replace(file: Path, data: bytes) -> None:
    new = file.with_name(f"{file.name}.new")
    new.write_bytes(data)
    new.replace(file)


def _altered(manifest: Manifest, name: str, expected: str, actual: str) -> ModelAltered:
    return ModelAltered(
        f"{name} of {manifest.name} {manifest.version} was changed after it was signed: {actual}, not {expected}.",
        action="Do not use this file. Fetch the bundle again from whoever made it.",
        model=f"{manifest.name} {manifest.version} ({name})",
        expected=expected,
        actual=actual,
    )


def _unreadable(file: str, wrong: str) -> BundleUnreadable:
    return BundleUnreadable(
        f"{file} is no model bundle that can be used: {wrong}.",
        action="Fetch it again from whoever made it, or make it again with: lynceus model export.",
        file=file,
        wrong=wrong,
    )

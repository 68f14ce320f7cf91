"""What the four plain calls have to do: `get`, `put`, `delete`, `clear`."""

from __future__ import annotations

from webex.storage.conformance.behaviours import behaviour
from webex.storage.conformance.harness import Harness
from webex.storage.protocol import Json
from webex.storage.wrappers import settle

RACERS = 8
ODD_KEYS = (
    *("plain", "Plain", "PLAIN", "with space", " with space", "with space ", "a/b", "a%2Fb", "a\\b", "a:b", "a|b"),
    *("%", "_", "*", "?", "[a]", "'", '"', ";--", "..", "../x", "@", "line\nbreak", "tab\t", "nul\0nul", "nul"),
    *("über", "u\u0308ber", "日本", "ключ", "\U0001f512", "\uffff", "x" * 500),
)


@behaviour("a value of each JSON type comes back equal and of the same type")
async def keeps_every_json_type(harness: Harness) -> None:
    binding = harness.bind()
    values: tuple[Json, ...] = (
        *(1, -1, 2**53 - 1, 1.5, -0.25, True, "text", "1", "null", [], {}, [1, 2], {"a": 1}, [[]], [None, 0, False]),
        {"nested": {"list": [1, {"deep": [True, None, "x"]}], "empty": {}}},
    )
    for number, value in enumerate(values):
        await harness.put(binding, f"key{number}", value)
    for number, value in enumerate(values):
        await harness.same(binding, f"key{number}", value)


@behaviour("0 is a value, not an absent one")
async def keeps_zero(harness: Harness) -> None:
    binding = harness.bind()
    await harness.put(binding, "key", 0)
    await harness.same(binding, "key", 0)


@behaviour("False is a value, not an absent one")
async def keeps_false(harness: Harness) -> None:
    binding = harness.bind()
    await harness.put(binding, "key", False)
    await harness.same(binding, "key", False)


@behaviour("None is a value, not an absent one")
async def keeps_none(harness: Harness) -> None:
    binding = harness.bind()
    await harness.put(binding, "key", None)
    await harness.same(binding, "key", None)
    await settle(binding.delete("key"))
    await harness.absent(binding, "key", "after delete")


@behaviour("the empty text is a value, not an absent one")
async def keeps_empty_text(harness: Harness) -> None:
    binding = harness.bind()
    await harness.put(binding, "key", "")
    await harness.same(binding, "key", "")


@behaviour("a second put replaces the value as a whole, whatever type it has")
async def replaces_values(harness: Harness) -> None:
    binding = harness.bind()
    for value in ([1, 2], [1, 2, 3], {"a": 1, "b": 2}, {"a": 1}, 7, None, "x"):
        await harness.put(binding, "key", value)
        await harness.same(binding, "key", value)


@behaviour("get of a key that was never put raises a KeyError, such as MissingKeyError")
async def misses_unknown_keys(harness: Harness) -> None:
    binding = harness.bind()
    await harness.absent(binding, "notakey", "of a key that was never put")
    await harness.put(binding, "key", 1)
    await harness.absent(binding, "notakey", "of a key that was never put")


@behaviour("delete removes a value, and succeeds when there is none")
async def deletes(harness: Harness) -> None:
    binding = harness.bind()
    for value in (1, {"a": 1}, None):
        await harness.put(binding, "key", value)
        await harness.put(binding, "other", value)
        await settle(binding.delete("key"))
        await harness.absent(binding, "key", "after delete")
        await harness.same(binding, "other", value)
        await settle(binding.delete("key"))
    await settle(binding.delete("never there"))
    await harness.put(binding, "key", 2)
    await harness.same(binding, "key", 2)


@behaviour("clear removes every key of the namespace, and succeeds when there is none")
async def clears(harness: Harness) -> None:
    binding = harness.bind()
    await settle(binding.clear())
    for number in range(30):
        await harness.put(binding, f"key{number}", {"a": number})
    await settle(binding.clear())
    for number in range(30):
        await harness.absent(binding, f"key{number}", "after clear")
    await harness.put(binding, "key1", "again")
    await harness.same(binding, "key1", "again")


@behaviour("clear leaves every other namespace alone, also one with a similar name")
async def clears_no_other_namespace(harness: Harness) -> None:
    others = ("namespace2", "name", "Namespace", "namespace/x", "namespace:x", "name_pace", "namespac%", "other")
    for namespace in others:
        await harness.put(harness.bind(namespace), "key", namespace)
    binding = harness.bind("namespace")
    await harness.put(binding, "key", 1)
    await settle(binding.clear())
    await harness.absent(binding, "key", "after clear")
    for namespace in others:
        await harness.same(harness.bind(namespace), "key", namespace)


@behaviour("one key in two namespaces holds two values")
async def separates_namespaces(harness: Harness) -> None:
    one, two = harness.bind("one"), harness.bind("two")
    await harness.put(one, "key", 1)
    await harness.absent(two, "key", "that was put into another namespace")
    await harness.put(two, "key", 2)
    await harness.same(one, "key", 1)
    await harness.same(two, "key", 2)
    await settle(one.delete("key"))
    await harness.same(two, "key", 2)


@behaviour("namespace and key do not run together: ('a', 'b/c') and ('a/b', 'c') are two places")
async def keeps_namespace_and_key_apart(harness: Harness) -> None:
    for separator in ("/", ":", ".", "_", "-", "|", "%2F", "\0", ""):
        places = (("a", f"b{separator}c"), (f"a{separator}b", "c"))
        for namespace, key in places:
            await harness.put(harness.bind(namespace), key, [namespace, key])
        for namespace, key in places:
            await harness.same(harness.bind(namespace), key, [namespace, key])


@behaviour("two bindings of one namespace see the same values")
async def shares_between_bindings(harness: Harness) -> None:
    await harness.put(harness.bind(), "key", 1)
    await harness.same(harness.bind(), "key", 1)
    await settle(harness.bind().delete("key"))
    await harness.absent(harness.bind(), "key", "after delete through another binding")


@behaviour("keys are kept exactly: case, spaces, wildcards, unicode forms, control characters, 500 characters")
async def keeps_keys_exact(harness: Harness) -> None:
    binding = harness.bind()
    for number, key in enumerate(ODD_KEYS):
        await harness.put(binding, key, number)
    for number, key in enumerate(ODD_KEYS):
        await harness.same(binding, key, number)
    await settle(binding.delete("%"))
    await harness.same(binding, "_", ODD_KEYS.index("_"))


@behaviour("text is kept exactly, in values and in the keys of values")
async def keeps_text_exact(harness: Harness) -> None:
    binding = harness.bind()
    for text in ("äöü ß", "日本語", "e\u0301", "\U0001f600", "nul\0nul", "\u2028", "\\u0041", "'\";--", " \r\n\t"):
        await harness.put(binding, "key", {"text": text, text: [text]})
        await harness.same(binding, "key", {"text": text, text: [text]})


@behaviour("a value of a megabyte comes back whole")
async def keeps_large_values(harness: Harness) -> None:
    binding = harness.bind()
    large = {"text": "0123456789abcde\u00e9" * 65536, "tail": 1}
    await harness.put(binding, "key", large)
    await harness.same(binding, "key", large)
    await harness.put(binding, "key", 1)
    await harness.same(binding, "key", 1)


@behaviour("changing a value that was read, or that was put, does not change the stored one")
async def isolates_values(harness: Harness) -> None:
    binding = harness.bind()
    written = {"list": [1], "dict": {"a": 1}}
    await harness.put(binding, "key", written)
    written["list"].append(2)  # type: ignore[attr-defined]  # a dict of two types
    await harness.same(binding, "key", {"list": [1], "dict": {"a": 1}})
    read = await settle(binding.get("key"))
    read["list"].append(3)
    read["dict"]["a"] = 2
    await harness.same(binding, "key", {"list": [1], "dict": {"a": 1}})


@behaviour("of several puts to one key the last one stays")
async def lets_the_last_put_win(harness: Harness) -> None:
    binding = harness.bind()
    for value in (1, 2, 3):
        await harness.put(binding, "key", value)
    await harness.same(binding, "key", 3)


@behaviour("puts at the same time to different keys are all kept")
async def keeps_all_of_a_race(harness: Harness) -> None:
    binding = harness.bind()

    async def write(number: int) -> None:
        for step in range(10):
            await harness.put(binding, f"key{number}-{step}", [number, step])

    await harness.race(RACERS, write)
    for number in range(RACERS):
        for step in range(10):
            await harness.same(binding, f"key{number}-{step}", [number, step])


@behaviour("puts at the same time to one key leave one of the values, whole, and readers see only whole ones")
async def tears_no_value(harness: Harness) -> None:
    binding = harness.bind()
    await harness.put(binding, "key", ["0"] * 200)

    async def work(number: int) -> None:
        for _ in range(10):
            if number % 2:
                await harness.put(binding, "key", [str(number)] * 200)
            else:
                seen = await settle(binding.get("key"))
                harness.expect(len(seen) == 200 and len(set(seen)) == 1, "a reader saw parts of two values")

    await harness.race(RACERS, work)
    await work(0)

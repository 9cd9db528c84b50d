// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
// Every piece of text that the page itself says: [[text, where], ...]. Not what
// it quotes: names of files, findings, hosts, commands.
const quoted = "code, pre, kbd, samp, .path, .virus, [data-quote], script, style, textarea, .brand, option[lang]";
const texts = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);

while (walk.nextNode()) {
	const e = walk.currentNode.parentElement;
	const text = walk.currentNode.data.replace(/\s+/g, " ").trim();
	// what is to be written in a settings file, word for word
	if (e.tagName === "OPTION" && e.value === text)
		continue;
	if (text && !e.closest(quoted) && !e.closest("[name=lang]"))
		texts.push([text, e.outerHTML.slice(0, 160)]);
}
for (const e of document.querySelectorAll("[aria-label], [title], [placeholder]"))
	for (const a of ["aria-label", "title", "placeholder"])
		if (e.getAttribute(a)?.trim())
			texts.push([e.getAttribute(a).trim(), e.outerHTML.slice(0, 160)]);
return texts;

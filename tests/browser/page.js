// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
// What is wrong with the page that is shown, a line each. Arguments: the
// width that it has, whether somebody is logged in.
const [width, inside] = arguments;
const wrong = [];

function name(e) {
	return e.outerHTML.slice(0, 120).replace(/\s+/g, " ");
}

function shown(e) {
	return e.checkVisibility({ checkVisibilityCSS: true });
}

// Inside of something that scrolls by itself it may be as wide as it likes.
function scrolled(e) {
	for (let p = e.parentElement; p && p !== document.body; p = p.parentElement)
		if (getComputedStyle(p).overflowX !== "visible")
			return true;
	return false;
}

function widths() {
	const there = document.scrollingElement.scrollWidth;
	if (there <= width)
		return;
	wrong.push(`${there} px wide, with ${width} there are`);
	for (const e of document.body.querySelectorAll("*"))
		if (shown(e) && !scrolled(e) &&
		    e.getBoundingClientRect().right > width + 0.5)
			wrong.push(`too wide: ${name(e)}`);
}

function cut() {
	for (const e of document.querySelectorAll("button, .button, h1, h2, dt, dd, legend"))
		if (shown(e) && e.scrollWidth > e.clientWidth + 1 && e.clientWidth)
			wrong.push(`does not fit in: ${name(e)}`);
}

function headings() {
	let before = 0;
	const all = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter(shown);
	if (all.filter((h) => h.tagName === "H1").length !== 1)
		wrong.push("not exactly one h1");
	for (const h of all) {
		const level = Number(h.tagName[1]);
		if (!h.textContent.trim())
			wrong.push(`an empty heading: ${name(h)}`);
		if (level > before + 1)
			wrong.push(`h${before} is followed by h${level}: ${name(h)}`);
		before = level;
	}
	if (!document.title.trim())
		wrong.push("no title");
}

function landmarks() {
	const want = { header: 1, main: 1, footer: 1, "nav[aria-label]": inside ? 1 : 0 };
	for (const [css, n] of Object.entries(want)) {
		const got = document.querySelectorAll(`body > ${css}`).length;
		if (got !== n)
			wrong.push(`${got} of ${css}, not ${n}`);
	}
	const skip = document.querySelector("a[href]");
	if (skip?.getAttribute("href") !== "#main" || !document.querySelector("main#main"))
		wrong.push("the first link does not lead to the content");
	if (inside && document.querySelectorAll("nav [aria-current]").length > 1)
		wrong.push("two present pages in the navigation");
}

function labelled(e) {
	const by = (e.getAttribute("aria-labelledby") ?? "").split(" ")
		.map((id) => id && document.getElementById(id)?.textContent).join("");
	const labels = [...(e.labels ?? [])].map((l) =>
		[...l.childNodes].filter((n) => n !== e).map((n) => n.textContent).join(""));
	// as it is rendered: what is not is read to nobody
	const own = e.matches("input, select, textarea") ? "" : e.innerText;
	return [own, e.getAttribute("aria-label"), e.title, by, ...labels]
		.some((t) => t?.trim());
}

function names() {
	const css = "input:not([type=hidden]), select, textarea, button, a[href], summary, [role=button]";
	for (const e of document.querySelectorAll(css))
		if (shown(e) && !labelled(e))
			wrong.push(`has no name: ${name(e)}`);
	for (const e of document.querySelectorAll("img, svg"))
		if (!e.closest("[aria-hidden=true]") && !e.getAttribute("aria-label") && !e.alt &&
		    !e.querySelector?.("title"))
			wrong.push(`a picture without words: ${name(e)}`);
	for (const t of document.querySelectorAll("table"))
		if (!t.querySelector("th") || [...t.querySelectorAll("th")].some((th) => !th.textContent.trim()))
			wrong.push(`a table without a heading to each column: ${name(t)}`);
	const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
	for (const id of ids.filter((id, i) => ids.indexOf(id) !== i))
		wrong.push(`id twice: ${id}`);
}

function jumps() {
	// the observer hands over what was buffered before it
	const seen = new PerformanceObserver(() => {});
	seen.observe({ type: "layout-shift", buffered: true });
	const shifts = seen.takeRecords();
	const sum = shifts.reduce((s, e) => s + (e.hadRecentInput ? 0 : e.value), 0);
	// a fifth of what a browser calls good
	if (sum > 0.02)
		wrong.push(`the page jumped by ${sum.toFixed(3)} while it came: ` +
			shifts.flatMap((e) => e.sources).map((s) => s.node && name(s.node.parentElement ?? s.node)).slice(0, 3).join("; "));
}

widths();
cut();
headings();
landmarks();
names();
jumps();
return wrong;

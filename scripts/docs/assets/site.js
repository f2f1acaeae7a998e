'use strict';
// Finds headings of all pages. `headings.js` has them as pairs of text and address.
/* global document, headings */

const root = document.documentElement.dataset.root;
const field = document.getElementById('search');
const list = document.getElementById('found');
const mostFound = 12;

function matches(text) {
  const wanted = text.trim().toLowerCase();
  if (wanted === '') return [];
  const hits = headings.filter(([heading]) => heading.toLowerCase().includes(wanted));
  const rank = ([heading]) => (heading.toLowerCase().startsWith(wanted) ? 0 : 1);
  return hits.sort((one, other) => rank(one) - rank(other)).slice(0, mostFound);
}

function entryOf([heading, address]) {
  const link = document.createElement('a');
  link.href = root + address;
  const place = document.createElement('small');
  place.textContent = address.replace(/\.html.*$/, '');
  link.append(heading, ' ', place);
  const entry = document.createElement('li');
  entry.append(link);
  return entry;
}

field.addEventListener('input', () => {
  list.replaceChildren(...matches(field.value).map(entryOf));
  list.hidden = list.childElementCount === 0;
});

document.addEventListener('keydown', (event) => {
  const links = [...list.querySelectorAll('a')];
  const at = links.indexOf(document.activeElement);
  if (event.key === '/' && document.activeElement !== field) field.focus();
  else if (event.key === 'Escape') list.hidden = true;
  else if (event.key === 'ArrowDown' && !list.hidden) links[Math.min(at + 1, links.length - 1)].focus();
  else if (event.key === 'ArrowUp' && at >= 0) (links[at - 1] ?? field).focus();
  else return;
  event.preventDefault();
});

"use strict";
// A click on a column's name sorts its table: numbers by their value, text by the alphabet.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.firstElementChild.addEventListener("click", () => {
      const falls = head.getAttribute("aria-sort") !== "descending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", falls ? "descending" : "ascending");
      const body = table.tBodies[0];
      const rows = [...body.rows].map((row) => {
        const cell = row.cells[column];
        const number = cell.dataset.order === undefined ? NaN : Number(cell.dataset.order);
        return { row, number, text: cell.textContent };
      });
      rows.sort((left, right) => {
        const order = Number.isNaN(left.number) || Number.isNaN(right.number)
          ? left.text.localeCompare(right.text)
          : left.number - right.number;
        return falls ? -order : order;
      });
      body.append(...rows.map(({ row }) => row));
    });
  });
}

const root = document.getElementById("console");
root.textContent = "";

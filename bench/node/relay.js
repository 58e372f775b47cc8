// A bare relay for comparison: parses, stamps the sender's name, forwards. It validates nothing and answers nothing.
const { WebSocketServer } = require("ws");
const names = new Map();
const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
server.on("listening", () => console.log(server.address().port));
server.on("connection", (socket) => {
  socket.send('{"type":"hello"}');
  socket.on("message", (raw) => {
    const message = JSON.parse(raw);
    if (message.type === "handshake") {
      socket.name = message.payload.requestedName;
      names.set(socket.name, socket);
      return socket.send('{"type":"connectedAgentsUpdate"}');
    }
    message.meta.source.desktopAgent = socket.name;
    const text = JSON.stringify(message);
    const { destination } = message.meta;
    if (destination) return names.get(destination.desktopAgent).send(text);
    for (const other of names.values()) if (other !== socket) other.send(text);
  });
});

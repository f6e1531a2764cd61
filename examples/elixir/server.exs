# SPDX-License-Identifier: MIT
# A small HTTP server in plain Elixir, on the Unix socket of its worktree. In the worktree:
#
#   devmesh run -- elixir -r devmesh.ex server.exs
#
# or without `devmesh run`, by registering itself: elixir -r devmesh.ex server.exs
defmodule Server do
  def run do
    path = Devmesh.prepare!()

    {:ok, listener} =
      :gen_tcp.listen(0, [:binary, packet: :http_bin, active: false, ifaddr: {:local, path}])

    # Caddy may run as another user: it has to write to the socket
    File.chmod!(path, 0o666)
    IO.puts("listening for #{Devmesh.url!()}")
    accept(listener)
  end

  defp accept(listener) do
    {:ok, socket} = :gen_tcp.accept(listener)
    pid = spawn(fn -> receive(do: (:go -> serve(socket))) end)
    :ok = :gen_tcp.controlling_process(socket, pid)
    send(pid, :go)
    accept(listener)
  end

  defp serve(socket) do
    with {:ok, {:http_request, method, {:abs_path, path}, _}} <- :gen_tcp.recv(socket, 0, 30_000),
         :ok <- skip_headers(socket) do
      body = "#{method} #{path} in #{File.cwd!()}\n"

      :gen_tcp.send(socket, [
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\n",
        "content-length: #{byte_size(body)}\r\nconnection: close\r\n\r\n",
        body
      ])
    end

    :gen_tcp.close(socket)
  end

  defp skip_headers(socket) do
    case :gen_tcp.recv(socket, 0, 30_000) do
      {:ok, :http_eoh} -> :ok
      {:ok, {:http_header, _, _, _, _}} -> skip_headers(socket)
      other -> other
    end
  end
end

Server.run()

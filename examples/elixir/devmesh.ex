# SPDX-License-Identifier: MIT
defmodule Devmesh do
  @moduledoc """
  Where this worktree's service listens, and under which URL it is known.

  Started by `devmesh run`, or in a terminal with `eval "$(devmesh env)"`, both are in the
  environment. Otherwise the registrar is asked: `devmesh up` registers the worktree.

  Phoenix, in config/runtime.exs:

      if config_env() == :dev and Devmesh.here?() do
        config :shop, ShopWeb.Endpoint,
          http: [ip: {:local, Devmesh.prepare!()}, port: 0],
          url: [scheme: "https", host: URI.parse(Devmesh.url!()).host, port: 443],
          check_origin: [Devmesh.url!()]
      end
  """

  @doc "Whether there is a devmesh to ask."
  def here?, do: System.get_env("DEVMESH_SOCKET", "") != "" or System.find_executable("devmesh") != nil

  @doc "The URL of this worktree."
  def url!, do: variables!()["DEVMESH_URL"]

  @doc "The path of its Unix socket."
  def socket!, do: variables!()["DEVMESH_SOCKET"]

  @doc """
  Makes way for a listener on the socket, and returns its path. A file left by a server that was
  killed refuses connections, and goes; if somebody answers, it is theirs.
  """
  def prepare! do
    path = socket!()

    case :gen_tcp.connect({:local, path}, 0, [:local]) do
      {:ok, other} ->
        :gen_tcp.close(other)
        raise "#{path}: another server listens already"

      {:error, :econnrefused} ->
        File.rm!(path)

      {:error, _} ->
        :ok
    end

    path
  end

  defp variables! do
    if System.get_env("DEVMESH_SOCKET", "") != "" do
      System.get_env()
    else
      devmesh!(["--quiet", "up"])
      Map.new(Regex.scan(~r/^export (\w+)='([^']*)'$/m, devmesh!(["env"])), fn [_, k, v] -> {k, v} end)
    end
  end

  defp devmesh!(args) do
    case System.cmd("devmesh", args) do
      {out, 0} -> out
      {_, status} -> raise "devmesh #{Enum.join(args, " ")} failed with #{status}"
    end
  end
end

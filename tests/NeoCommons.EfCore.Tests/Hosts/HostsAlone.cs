using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>The pool of a row with two hosts that nobody connects to.</summary>
internal static class HostsAlone
{
    public static PooledDataSource New(
        HostMemory? memory = null,
        string name = "alone",
        string replica = "127.0.0.2:1"
    ) =>
        new(
            new DatabaseConnection
            {
                Name = name,
                Host = "127.0.0.1",
                Port = 1,
                Database = "db",
                Username = "user",
                Password = Secret.FromText("secret"),
                SslMode = SslMode.Disable,
                MinPoolSize = 0,
                ReplicaHosts = ReplicaHosts.Parse(replica),
            },
            new ConnectionOptions(),
            NullLoggerFactory.Instance,
            TimeProvider.System,
            memory: memory
        );
}

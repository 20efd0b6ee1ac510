using System.Transactions;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Testing;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Quotas;

/// <summary>However a connection is opened and however that ends, what it took is given back.</summary>
public sealed class PermitTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Whatever_becomes_of_a_connection_its_permits_come_back(bool pooledContexts)
    {
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        await using var app = new RuntimeApp(
            servers.Postgres,
            contexts: builder =>
            {
                if (pooledContexts)
                {
                    builder.AddPooledTenantDbContext<ItemsContext>();
                }
                else
                {
                    builder.AddTenantDbContext<ItemsContext>();
                }
            }
        );
        var row = await app.AddDatabaseAsync(row =>
            row with
            {
                Host = proxy.Host,
                Port = proxy.Port,
                MaxPoolSize = 4,
                PoolTimeout = TimeSpan.FromSeconds(2),
            }
        );
        var tenant = await app.AddTenantAsync(row, "acme");
        tenant = tenant with { Limits = new TenantLimits { MaxConnections = 3 } };
        app.Tenants.Set(tenant);

        var ways = new (string Name, Func<Task> Go)[]
        {
            ("a query", () => WithContextAsync(c => c.Items.ToListAsync(Ct))),
            ("a synchronous query", () => WithContextAsync(c => Task.FromResult(c.Items.ToList()))),
            ("left open", () => WithContextAsync(c => c.Database.OpenConnectionAsync(Ct))),
            (
                "opened by the application",
                () =>
                    WithContextAsync(async c =>
                    {
                        await c.Database.GetDbConnection().OpenAsync(Ct);
                        await c.Items.ToListAsync(Ct);
                    })
            ),
            (
                "opened by the application, twice",
                () =>
                    WithContextAsync(async c =>
                    {
                        await c.Database.GetDbConnection().OpenAsync(Ct);
                        await c.Database.GetDbConnection().CloseAsync();
                        c.Database.GetDbConnection().Open();
                    })
            ),
            ("a transaction left", () => WithContextAsync(c => c.Database.BeginTransactionAsync(Ct))),
            ("a statement that fails", () => WithContextAsync(c => c.Database.ExecuteSqlRawAsync("SELECT 1/0", Ct))),
            (
                "a backend that dies",
                () =>
                    WithContextAsync(async c =>
                    {
                        await c.Database.OpenConnectionAsync(Ct);
                        await c.Database.ExecuteSqlRawAsync("SELECT pg_terminate_backend(pg_backend_pid())", Ct);
                    })
            ),
            (
                "a reader left open",
                () =>
                    WithContextAsync(async c =>
                    {
                        var reader = c.Items.AsAsyncEnumerable().GetAsyncEnumerator(Ct);
                        await reader.MoveNextAsync();
                    })
            ),
            (
                "a command cancelled",
                () =>
                    WithContextAsync(async c =>
                    {
                        using var soon = new CancellationTokenSource(TimeSpan.FromMilliseconds(100));
                        await c.Database.ExecuteSqlRawAsync("SELECT pg_sleep(30)", soon.Token);
                    })
            ),
            ("in a scope", InScopeAsync),
            ("raw", async () => await (await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct)).DisposeAsync()),
            ("of nobody", async () => await (await app.Connections.OpenConnectionAsync(row.Name, Ct)).DisposeAsync()),
            (
                "raw, its backend dies",
                async () =>
                {
                    await using var connection = await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct);
                    await using var command = new NpgsqlCommand(
                        "SELECT pg_terminate_backend(pg_backend_pid())",
                        connection
                    );
                    await command.ExecuteNonQueryAsync(Ct);
                }
            ),
            ("handed out", async () => await app.Connections.GetDataSourceAsync(row.Name, Ct)),
            ("more than the tenant may", () => HoldAsync(5)),
            ("cancelled while waiting", CancelWaitingAsync),
            ("a server that is away", UnreachableAsync),
            ("a lost network", LostAsync),
        };
        foreach (var (name, go) in ways)
        {
            _ = await Record.ExceptionAsync(go);

            var (taken, waiting) = await Held.OfTenantAsync(app, tenant, row);
            Assert.Equal((name, 0, 0, 0), (name, taken, waiting, await Held.OfPoolAsync(app, row)));
        }

        // And they are there to be had.
        await HoldAsync(3);

        async Task WithContextAsync(Func<ItemsContext, Task> work)
        {
            await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
            await work(context);
        }

        async Task InScopeAsync()
        {
            using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);
            await WithContextAsync(c => c.Items.ToListAsync(Ct));
            await WithContextAsync(c => c.Items.ToListAsync(Ct));
            await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }
        }

        async Task HoldAsync(int count)
        {
            var opening = Enumerable
                .Range(0, count)
                .Select(_ => app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct).AsTask())
                .ToList();
            try
            {
                await Task.WhenAll(opening);
            }
            finally
            {
                foreach (var opened in opening.Where(o => o.IsCompletedSuccessfully))
                {
                    await opened.Result.DisposeAsync();
                }
            }
        }

        async Task CancelWaitingAsync()
        {
            using var cancel = new CancellationTokenSource();
            var held = new List<NpgsqlConnection>();
            for (var i = 0; i < 3; i++)
            {
                held.Add(await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct));
            }

            var waiting = app.Connections.OpenTenantConnectionAsync(tenant.Id, cancel.Token).AsTask();
            await cancel.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
            foreach (var connection in held)
            {
                await connection.DisposeAsync();
            }
        }

        async Task UnreachableAsync()
        {
            var gone = row with { Port = 1 };
            app.Registry.Set(gone);
            try
            {
                await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
                    await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct)
                );
                Assert.Equal(0, await Held.OfPoolAsync(app, gone));
            }
            finally
            {
                app.Registry.Set(row);
            }
        }

        async Task LostAsync()
        {
            await using var connection = await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct);
            proxy.Cut();
            await RuntimeApp.PidAsync(connection);
        }
    }
}

using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Tenants;

/// <summary>What <see cref="SchemaName"/> accepts is, quoted, exactly that name to a server.</summary>
public sealed class SchemaNameRoundTripTests(SchemaNameRoundTripTests.Schemas schemas)
    : IClassFixture<SchemaNameRoundTripTests.Schemas>
{
    [Fact]
    public async Task Every_schema_bears_the_name_that_was_meant()
    {
        await using var command = schemas.Database.CreateCommand(
            "SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' AND nspname NOT IN ('public', 'information_schema')"
        );
        var found = new List<string>();
        await using (var reader = await command.ExecuteReaderAsync(TestContext.Current.CancellationToken))
        {
            while (await reader.ReadAsync(TestContext.Current.CancellationToken))
            {
                found.Add(reader.GetString(0));
            }
        }

        Assert.Equal(
            schemas.Names.Select(name => name.Value).Order(StringComparer.Ordinal),
            found.Order(StringComparer.Ordinal)
        );
    }

    [Fact]
    public async Task A_search_path_of_one_quoted_name_leads_to_that_schema_only()
    {
        await using var connection = await schemas.Database.OpenConnectionAsync(TestContext.Current.CancellationToken);
        foreach (var name in schemas.Names)
        {
            await using var command = new NpgsqlCommand(
                $"SET search_path = {name.Quoted}; SELECT current_schema(), array_length(current_schemas(false), 1)",
                connection
            );
            await using var reader = await command.ExecuteReaderAsync(TestContext.Current.CancellationToken);

            Assert.True(await reader.ReadAsync(TestContext.Current.CancellationToken));
            Assert.Equal(name.Value, reader.GetString(0));
            Assert.Equal(1, reader.GetInt32(1));
        }
    }

    [Fact]
    public async Task A_quoted_name_as_the_search_path_of_the_start_leads_to_that_schema_only()
    {
        foreach (var name in schemas.Names.Take(50))
        {
            var settings = new NpgsqlConnectionStringBuilder(schemas.ConnectionString)
            {
                SearchPath = name.Quoted,
                Pooling = false,
            };
            await using var connection = new NpgsqlConnection(settings.ConnectionString);
            await connection.OpenAsync(TestContext.Current.CancellationToken);
            await using var command = new NpgsqlCommand("SELECT current_schemas(false)::text[]", connection);

            Assert.Equal(
                [name.Value],
                Assert.IsType<string[]>(await command.ExecuteScalarAsync(TestContext.Current.CancellationToken))
            );
        }
    }

    /// <summary>A database with a schema for each name of a sample.</summary>
    public sealed class Schemas : IAsyncLifetime
    {
        private const int Count = 2_500;

        private PostgresServer? _server;

        internal List<SchemaName> Names { get; } = Sample();

        internal NpgsqlDataSource Database { get; private set; } = null!;

        internal string ConnectionString { get; private set; } = "";

        public async ValueTask InitializeAsync()
        {
            _server = await PostgresServer.StartAsync();
            ConnectionString = _server.GetConnectionString(await _server.CreateDatabaseAsync());
            Database = NpgsqlDataSource.Create(ConnectionString);
            foreach (var chunk in Names.Chunk(100))
            {
                await using var batch = Database.CreateBatch();
                foreach (var name in chunk)
                {
                    batch.BatchCommands.Add(new NpgsqlBatchCommand($"CREATE SCHEMA {name.Quoted}"));
                }

                await batch.ExecuteNonQueryAsync();
            }
        }

        public async ValueTask DisposeAsync()
        {
            if (Database is not null)
            {
                await Database.DisposeAsync();
            }

            if (_server is not null)
            {
                await _server.DisposeAsync();
            }
        }

        private static List<SchemaName> Sample()
        {
            var texts = new AdversarialText(42);
            var names = new HashSet<SchemaName>();
            while (names.Count < Count)
            {
                if (SchemaName.TryParse(texts.Next(), out var name))
                {
                    names.Add(name);
                }
            }

            return [.. names];
        }
    }
}
